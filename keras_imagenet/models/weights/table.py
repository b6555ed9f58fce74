"""How an origin names the tensors of a family, as lines that can be proof-read.

A line is (our layer, their module). Numbers in our layer's name stand in braces: {s} stage, {b} block; their module
may use them shifted or doubled ({b-1}, {2*s-1}), as a letter ({b:a}, a for 1), and with them {n}, the block's number
over all stages, {S}, how many stages there are, and {N}, how many blocks. Alternatives are separated by |: the first
that the file has counts. [0/3] takes the first third of the rows. Where our layer is a learned tensor alone, their
side is a tensor's name. The first line that fits a layer's name counts.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

NUMBER = re.compile(r"\{(?:(\d)\*)?(\w)([+-]\d+)?(:a)?\}")


@dataclass(frozen=True)
class Table:
    """lines: the module says how they read; the first one is the stem. unused: patterns of tensors to leave out.

    options: what `registry.build` must be told for these weights to mean the same. flip: the stem takes BGR.
    """

    lines: tuple[tuple[str, str], ...]
    unused: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    flip: bool = False


def modules(table: Table, owners: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Their alternatives for each of our layers, the owners of weights in the graph's order.

    Raises KeyError with the name of a layer that no line fits.
    """
    numbers = {block: number for number, block in enumerate(dict.fromkeys(filter(None, map(_block, owners))), start=1)}
    totals = {"S": max((int(stage) for stage, _ in numbers), default=0), "N": len(numbers)}
    patterns = [(_pattern(ours), theirs) for ours, theirs in table.lines]
    found = {}
    for owner in owners:
        fitting = ((match, theirs) for pattern, theirs in patterns if (match := pattern.fullmatch(owner)))
        match, theirs = next(fitting, (None, ""))
        if match is None:
            raise KeyError(owner)
        values = {name: int(value) for name, value in match.groupdict().items()} | totals
        values["n"] = numbers.get(_block(owner), 0)
        write = functools.partial(_written, values=values)
        found[owner] = tuple(NUMBER.sub(write, alternative) for alternative in theirs.split("|"))
    return found


def _block(owner: str) -> tuple[str, str] | None:
    """Stage and block in a layer's name; stage 1 where a family has no stages."""
    found = re.match(r"(?:stage(\d+)_)?block(\d+)_", owner)
    return (found[1] or "1", found[2]) if found else None


def _pattern(ours: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w)\}", r"(?P<\1>\\d+)", ours))


def _written(number: re.Match[str], values: Mapping[str, int]) -> str:
    factor, name, shift, letter = number.groups()
    value = int(factor or 1) * values[name] + int(shift or 0)
    return chr(ord("a") + value - 1) if letter else str(value)

"""Phases: other sizes, strengths and mixing from a step on, in one exact stream."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_imagenet import recipes
from keras_imagenet.console import Console
from keras_imagenet.data import sources
from keras_imagenet.errors import SettingsError
from keras_imagenet.models.assembly import preset_of
from keras_imagenet.preset import Preset
from keras_imagenet.settings.phases import augments
from keras_imagenet.training import phases
from keras_imagenet.training.assembly import Run, assemble, open_data
from keras_imagenet.training.course import course_of

RESIZED = {
    "model.name": "cifar_net",
    "data.size": "16",
    "train.batch_size": "32",
    "train.steps": "6",
    "augment.mixing": "{mixup: 0.4, cutmix: 1.0}",
    # 1,435 digits: steps 2, 3 and 5 begin at or after these.
    "phases": "[{from_epoch: 0.04, size: [24, 32]}, {from_epoch: 0.06, augment: {mixing: null, rotation: 9}},"
    "{from_epoch: 0.1, size: 16, augment: {rotation: 0}}]",
}


def loaded(**flags: str):
    return recipes.load(recipes.DEFAULT_RECIPE, [*flags.items()])


def prepared(flags: dict[str, str]) -> Run:
    settings = recipes.load(recipes.DEFAULT_RECIPE, [*flags.items()])
    return assemble(settings, sources.open_source(settings.data.source), tf.distribute.get_strategy())


def test_ffcv_s_sizes_and_efficientnet_v2_s_strengths_begin_with_a_batch() -> None:
    """FFCV's 16 epochs of 1,281,167 in batches of 4,096; EfficientNetV2-S' four stages of 87.5 epochs."""
    words = {"train.epochs": "16", "train.batch_size": "4096", "data.size": "160"}
    settings = recipes.load(None, [*words.items(), ("phases", "[{from_epoch: 12, size: 192}]")])
    first, second = phases.stretches(settings, Preset(size=(160, 160)), course_of(settings, 1_281_167))
    assert (first.step, first.preset.size) == (0, (160, 160))
    assert (second.step, second.preset.size) == (3754, (192, 192))  # 12 x 1,281,167 / 4,096 = 3,753.4
    assert phases.lines(settings, course_of(settings, 1_281_167)) == [
        "phase from epoch 12, step 3,754: images of 192 x 192"
    ]
    stages = ", ".join(
        f"{{from_epoch: {87.5 * stage}, size: {size}, augment: {{rand_augment: {{magnitude: {magnitude}}}}}}}"
        for stage, size, magnitude in ((1, 214, 6.6667), (2, 257, 8.3333), (3, 300, 10))
    )
    words = {"train.epochs": "350", "augment.rand_augment": "{form: google, magnitude: 5}", "phases": f"[{stages}]"}
    settings = recipes.load(None, [*words.items()])
    strengths = [augment.rand_augment for augment in augments(settings.augment, settings.phases)]
    assert [strength.magnitude for strength in strengths] == [6.6667, 8.3333, 10]
    assert {strength.form for strength in strengths} == {"google"}
    assert recipes.load(
        None, [("train.epochs", "350"), ("phases", json.dumps(settings.model_dump(mode="json")["phases"]))]
    )


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        ({}, (32, 32)),
        ({"phases": "[{from_epoch: 2, size: 8}, {from_epoch: 4, size: [24, 32]}, {from_epoch: 6, augment: {rotation: 9}}]"}, (24, 32)),
        ({"phases": "[{from_epoch: 2, size: 24}]", "data.evaluation_size": "40"}, (40, 40)),
    ],
)  # fmt: skip
def test_evaluation_looks_at_images_as_large_as_training_ends_with(
    flags: dict[str, str], wanted: tuple[int, int]
) -> None:
    settings = recipes.load(None, [*flags.items(), ("data.size", "32")])
    assert preset_of(settings, None).evaluation.size == wanted


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        ({"phases": "[{from_epoch: 2}]"}, "phases.0: changes nothing; give size or augment"),
        ({"phases": "[{from_epoch: 2, size: 8}, {from_epoch: 2, size: 9}]"}, "does not come after the phase before it, at 2"),
        ({"phases": "[{from_epoch: 10, size: 8}]"}, "from_epoch 10 does not come before the end of the run's 10 epochs"),
        ({"phases": "[{from_epoch: 2, augment: {mixin: null}}]"}, "phases.0.augment.mixin"),
        ({"phases": "[{from_epoch: 2, augment: {mixing: {mixup: -1}}}]"}, "phases.0.augment.mixing.mixup"),
        ({"phases": "[{from_epoch: 2, augment: {keras_cv: [{name: GridMask}]}}]"}, "keras_cv: is one for the whole run"),
    ],
)  # fmt: skip
def test_phases_that_cannot_be_are_one_line(flags: dict[str, str], wanted: str) -> None:
    with pytest.raises(SettingsError) as caught:
        recipes.load(None, [*flags.items()])
    assert wanted in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("phase", "wanted"),
    [
        ("{from_epoch: 0.99, size: 8}", r"phases.0.from_epoch = 0.99: is step 45, and the run has 6; leave the phase out"),
        ("{from_epoch: 0.04, size: 24}", r"phases.0.size: simple_cnn's weights depend on the size of its images"),
    ],
)  # fmt: skip
def test_phases_that_the_data_or_the_network_cannot_have_are_named(phase: str, wanted: str) -> None:
    with pytest.raises(SettingsError, match=wanted):
        prepared({"train.batch_size": "32", "train.steps": "6", "phases": f"[{phase}]"})


def test_one_stream_goes_through_all_phases_wherever_it_starts() -> None:
    """Positions, order, labels and seeds are those of a run without phases; a batch is of the phase that its step is in."""
    run = prepared(RESIZED)
    whole = [
        {name: value.numpy() for name, value in next(stream).items()}
        for stream in [open_data(run, Console.standard())[0]]
        for _ in range(6)
    ]
    sizes = [batch["images"].shape[1:3] for batch in whole]
    assert sizes == [(16, 16)] * 2 + [(24, 32)] * 3 + [(16, 16)]
    assert ["shares" in batch for batch in whole] == [True] * 3 + [False] * 3
    plain = open_data(
        prepared({name: value for name, value in RESIZED.items() if name != "phases"}), Console.standard()
    )[0]
    for step, batch in enumerate(whole):
        wanted = next(plain)
        for name in ("labels", "seeds", "epochs", *(("shares",) if step < 3 else ())):
            np.testing.assert_array_equal(batch[name], wanted[name])
    for start in (4, 5):  # inside a phase and where one begins
        stream = open_data(run, Console.standard())[0]
        stream.seek(start)
        for batch in whole[start:]:
            ours = next(stream)
            assert ours.keys() == batch.keys()
            for name, value in batch.items():
                np.testing.assert_array_equal(ours[name], value)


def test_a_run_goes_on_from_a_border_of_phases_to_the_same_bits(command, tmp_path: Path) -> None:
    """Interrupted where the size changes: weights, statistics, dropout's seeds and history as in the undisturbed run."""
    from test_exactness import assert_same_bits

    words = [word for name, value in RESIZED.items() for word in (f"--{name}", value)]
    words += ["--train.checkpoint_steps", "1", "--model.dropout", "0.2"]
    whole, other = tmp_path / "whole", tmp_path / "other"
    done = command("fit", *words, "--runtime.run_folder", whole)
    assert done.returncode == 0, done.stderr
    assert "phase from epoch 0.04, step 2: images of 24 x 32" in done.stdout
    assert "phase from epoch 0.06, step 3: mixing off, rotation 9" in done.stdout
    shutil.copytree(whole, other)
    kept = sorted(other.glob("checkpoints/step-*.npz"))
    assert kept[-2].name == "step-00000005.npz"  # where the last phase begins
    for file in (other / "metrics.json", other / "model.keras", kept[-1]):
        file.unlink()
    done = command("fit", *words, "--runtime.run_folder", other)
    assert done.returncode == 0, done.stderr
    assert "going on from step 5" in done.stdout
    assert_same_bits(whole, other)

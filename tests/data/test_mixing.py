"""Mixing and erasing of batches: exact over how batches are cut up, shares that belong to the pixels, counts."""

from dataclasses import fields

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import kstest

from keras_imagenet.data.augment import erasing, lighting
from keras_imagenet.data.batches import MIXED_TOGETHER
from keras_imagenet.data.mixing import draw_mixing, mix, on_device, on_host
from keras_imagenet.data.order import Plan
from keras_imagenet.errors import SettingsError
from keras_imagenet.preset import Preset
from keras_imagenet.settings import AugmentSettings
from keras_imagenet.settings.augment import Mixing, RandomErasing

BOTH = {"mixup": 0.8, "cutmix": 1.0}
PRESET = Preset(size=(20, 20))
MODES = ["batch", "group", "element"]


def batch(rows: int, side: int = 12) -> tuple[tf.Tensor, tf.Tensor, Plan]:
    """Images that are one number each, 1 to rows; one-hot targets; their plan."""
    values = tf.range(1.0, rows + 1)[:, tf.newaxis, tf.newaxis, tf.newaxis]
    seeds = np.random.default_rng(3).integers(-(2**31), 2**31, (rows, 2)).astype(np.int32)
    positions = np.arange(rows)
    zeros = np.zeros_like(positions)
    plan = Plan(positions, zeros, positions, seeds, np.ones(rows, np.float32), zeros)
    return tf.tile(values, (1, side, side, 3)), tf.eye(rows), plan


def part_of(plan: Plan, part: slice) -> Plan:
    return Plan(*(getattr(plan, field.name)[part] for field in fields(plan)))


def with_values(plan: Plan, **values: np.ndarray) -> Plan:
    return Plan(**{field.name: values.get(field.name, getattr(plan, field.name)) for field in fields(plan)})


def mixed(images: tf.Tensor, targets: tf.Tensor, plan: Plan, step: int = 0, **options) -> tuple[np.ndarray, np.ndarray]:
    drawn = draw_mixing(Mixing(**options), step, plan, images.shape[1:3], run_seed=7)
    return tuple(value.numpy() for value in mix(images, targets, **drawn))


def test_batches_cut_up_otherwise_are_mixed_alike():
    """As replicas, workers and micro-batches cut them: what is drawn, and what comes of it."""
    images, targets, plan = batch(32)
    for mode in MODES:
        options = {"mode": mode, **BOTH}
        whole = mixed(images, targets, plan, **options)
        for start in range(0, 32, MIXED_TOGETHER):
            part = slice(start, start + MIXED_TOGETHER)
            ours = mixed(images[part], targets[part], part_of(plan, part), **options)
            np.testing.assert_array_equal(whole[0][part], ours[0])
            np.testing.assert_array_equal(whole[1][part], ours[1])


@pytest.mark.parametrize("alphas", [{"mixup": 0.4}, {"cutmix": 1.0}, BOTH])
@pytest.mark.parametrize("mode", MODES)
def test_targets_are_mixed_by_the_share_of_the_pixels(alphas, mode):
    """A corrected lambda: the clipped rectangle's area counts, not the drawn one's."""
    images, targets, plan = batch(64)
    found, shares = mixed(images, targets, plan, mode=mode, **alphas)
    values = tf.range(1.0, 65.0)
    np.testing.assert_allclose(tf.reduce_mean(found, (1, 2, 3)), tf.linalg.matvec(shares, values), rtol=1e-5)
    np.testing.assert_allclose(tf.reduce_sum(shares, 1), np.ones(64), rtol=1e-6)
    partners = np.argmax(np.where(np.eye(64) > 0, -1, shares), axis=1)
    mixed_rows = np.diag(shares) < 1
    assert mixed_rows.any()
    expected = np.arange(64).reshape(-1, MIXED_TOGETHER)[:, ::-1].ravel()
    np.testing.assert_array_equal(partners[mixed_rows], expected[mixed_rows])


@pytest.mark.parametrize(("mode", "draws"), [("batch", 1), ("group", 8), ("element", 64)])
def test_a_mode_draws_once_for_a_batch_a_group_or_an_example(mode, draws):
    """Share, kind and rectangle: the batch's are the same for every row of it, and others in the next step."""
    drawn, later = (
        draw_mixing(Mixing(mode=mode, **BOTH), step, batch(64)[2], (224, 224), run_seed=7) for step in (0, 1)
    )
    whole = np.column_stack((drawn["shares"], drawn["cuts"]))
    np.testing.assert_array_equal(whole.reshape(draws, -1, 5), np.repeat(whole[:: 64 // draws, None], 64 // draws, 1))
    assert len(np.unique(whole, axis=0)) == draws
    assert (drawn["shares"] != later["shares"]).any() == (mode == "batch")  # in the others the examples' seeds decide


@pytest.mark.parametrize("mode", ["batch", "element"])
def test_shares_follow_the_beta_distribution(mode):
    if mode == "batch":
        plan = batch(8)[2]
        drawn = [draw_mixing(Mixing(mixup=0.5), step, plan, (1, 1), 7)["shares"][0] for step in range(4096)]
    else:
        drawn = draw_mixing(Mixing(mixup=0.5, mode=mode), 0, batch(4096, side=1)[2], (1, 1), 7)["shares"]
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.02)
    assert np.var(drawn) == pytest.approx(0.125, abs=0.008)  # Beta(a, a): 1 / (4 (2 a + 1))
    assert kstest(drawn, "beta", (0.5, 0.5)).pvalue > 0.001


def test_unreadable_examples_are_not_mixed_into_others():
    images, targets, plan = batch(8)
    weights = np.array([1, 0, 1, 1, 1, 1, 1, 1], np.float32)
    _, shares = mixed(images, targets, with_values(plan, weights=weights), **BOTH)
    assert shares[6, 6] == 1
    assert shares[1, 1] == 1
    assert shares[0, 0] < 1


@pytest.mark.parametrize("partner", ["reversed", "rolled", "permuted"])
def test_partners_are_of_one_group_and_unreadable_ones_nobodys(partner):
    """Within each group of 8 as timm, torchvision and mmpretrain pair a whole batch; cut up otherwise, the same."""
    images, targets, plan = batch(32)
    plan = with_values(plan, weights=np.where(np.arange(32) == 3, 0, 1))
    settings = AugmentSettings(mixing={"mode": "element", "partner": partner, **BOTH})
    draw, act = on_host(settings, PRESET, 7), on_device(settings)
    found, shares = act(images, targets, draw(0, plan))
    shares = shares.numpy()
    partners = np.argmax(np.where(np.eye(32) > 0, 0, shares), axis=1)
    changed = np.diag(shares) < 1
    assert changed.sum() > 15
    assert not changed[3]
    assert not shares[changed, 3].any()
    places = np.arange(32)
    known = {"reversed": places ^ 7, "rolled": places // 8 * 8 + (places - 1) % 8}
    if partner == "permuted":
        assert (partners[changed] // 8 == places[changed] // 8).all()
        assert len({tuple(group % 8) for group in draw(0, plan)["places"].reshape(-1, 8)}) == 4
    else:
        np.testing.assert_array_equal(partners[changed], known[partner][changed])
    for start in range(0, 32, MIXED_TOGETHER):
        part = slice(start, start + MIXED_TOGETHER)
        np.testing.assert_array_equal(found[part], act(images[part], targets[part], draw(0, part_of(plan, part)))[0])


def test_a_permutation_is_one():
    drawn = draw_mixing(Mixing(mixup=0.2, partner="permuted"), 0, batch(800, side=1)[2], (1, 1), 7)
    places = drawn["places"].reshape(-1, 8)
    np.testing.assert_array_equal(np.sort(places, axis=1), np.tile(np.arange(8), (100, 1)))
    assert (places == np.arange(8)).mean() == pytest.approx(1 / 8, abs=0.05)  # with itself as torch.randperm has it


def test_a_choice_for_the_batch_with_shares_for_examples():
    """Model Garden's: every row of a batch by MixUp or every row by CutMix, each with a share of its own."""
    kinds = []
    for step in range(40):
        settings = Mixing(**BOTH, mode="element", choice="batch", switch_probability=0.3)
        drawn = draw_mixing(settings, step, batch(16)[2], (224, 224), 7)
        blended, cut = drawn["shares"] < 1, drawn["cuts"].any(axis=1)
        assert blended.all() or not blended.any()
        assert not (blended & cut).any()
        assert len(np.unique(drawn["shares"])) == (16 if blended.any() else 1)
        kinds.append(bool(blended.any()))
    assert 0.5 < np.mean(kinds) < 0.9


def test_half_a_batch_is_blended_and_half_is_cut_whatever_the_step():
    drawn = draw_mixing(Mixing(**BOTH, mode="element", choice="halves"), 3, batch(64)[2], (224, 224), 7)
    np.testing.assert_array_equal((drawn["shares"] < 1).reshape(-1, 8).all(axis=1), [True, False] * 4)
    assert not drawn["cuts"].reshape(-1, 8, 4)[::2].any()
    assert drawn["cuts"].any(axis=1).reshape(-1, 8)[1::2].mean() > 0.8


def test_a_folded_share_is_the_larger_one():
    folded, plain = (
        draw_mixing(Mixing(mixup=0.2, mode="element", fold=fold), 0, batch(512, side=1)[2], (1, 1), 7)["shares"]
        for fold in (True, False)
    )
    np.testing.assert_allclose(folded, np.maximum(plain, 1 - plain), rtol=1e-6)
    assert folded.min() >= 0.5 > plain.min()


def test_a_share_that_is_not_corrected_is_the_whole_rectangles():
    """1 - int(s h) int(s w) / (h w) with s = sqrt(1 - l), as Model Garden has it; the pixels are those of the clipped one."""
    images, targets, plan = batch(64, side=40)
    options = {"mode": "element", "cutmix": 1.0}
    corrected, whole = mixed(images, targets, plan, **options), mixed(images, targets, plan, **options, corrected=False)
    np.testing.assert_array_equal(corrected[0], whole[0])
    ours, theirs = np.diag(corrected[1]), np.diag(whole[1])
    assert (theirs <= ours + 1e-6).all()
    assert (theirs < ours - 0.05).mean() > 0.3
    sides = np.sqrt((1 - theirs) * 1600)
    np.testing.assert_allclose(sides, np.rint(sides), atol=1e-3)


def test_images_are_erased_before_they_are_mixed():
    """timm's loader and torchvision's transforms erase, their collate functions mix: what is erased comes along."""
    images, targets, plan = batch(16, side=20)
    settings = AugmentSettings(
        mixing={"mode": "element", "mixup": 1.0}, random_erasing={"probability": 1.0, "mode": "zero"}
    )
    rows = {"seeds": plan.seeds, **on_host(settings, PRESET, 7)(0, plan)}
    found, _ = on_device(settings)(images, targets, rows)
    erased = erasing.erase(images, tf.constant(rows["erasures"]), tf.constant(plan.seeds), "zero")
    wanted, _ = mix(erased, targets, rows["shares"])
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_images_are_erased_where_nothing_is_mixed() -> None:
    images, targets, plan = batch(8, side=20)
    settings = AugmentSettings(random_erasing={"probability": 1.0, "mode": "zero"})
    rows = {"seeds": plan.seeds, **on_host(settings, PRESET, 7)(0, plan)}
    found, same = on_device(settings)(images, targets, rows)
    assert (found.numpy() == 0).any(axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(same, targets)
    assert on_device(AugmentSettings()) is None


def test_lighting_shifts_along_the_colours_of_imagenet():
    """pycls' numbers: a shift has the covariance of its components, over std once normalised; every pixel has the same."""
    images, targets, plan = batch(20_000, side=1)
    settings = AugmentSettings(lighting=0.1)
    rows = {"seeds": plan.seeds, **on_host(settings, PRESET, 7)(0, plan)}
    images = tf.zeros((64, 4, 4, 3))
    part = {name: value[:64] for name, value in rows.items()}
    found, _ = on_device(settings)(images, targets[:64], part)
    np.testing.assert_allclose(found, np.tile(part["lighting"][:, None, None], (1, 4, 4, 1)))
    shifts = rows["lighting"] * np.array(PRESET.std)
    values, vectors = np.array([0.2175, 0.0188, 0.0045]), lighting.COMPONENTS
    np.testing.assert_allclose(np.cov(shifts.T), 0.01 * vectors @ np.diag(values**2) @ vectors.T, rtol=0.05, atol=2e-6)
    with pytest.raises(SettingsError, match=r"augment.lighting: shifts colours, and data.channels is 1"):
        on_host(settings, Preset(channels=1, mean=(0.5,), std=(0.5,)), 7)


def test_probability_counts():
    images, targets, plan = batch(1024, side=1)
    _, shares = mixed(images, targets, plan, mixup=1.0, mode="element", probability=0.3)
    own = np.diag(shares)
    assert (own < 1).mean() == pytest.approx(0.3, abs=0.05)
    assert own[own < 1].mean() == pytest.approx(
        0.5, abs=0.06
    )  # whichever are mixed, the shares are drawn apart from that


def test_rectangles_follow_the_beta_distribution_and_lie_anywhere() -> None:
    """Their areas before the border cuts them off, the places of their middles up and down and from left to right."""
    settings = Mixing(cutmix=0.5, mode="element", corrected=False)
    drawn = draw_mixing(settings, 0, batch(4096, side=1)[2], (1000, 500), 7)
    assert np.mean(drawn["kept"]) == pytest.approx(0.5, abs=0.02)
    assert np.var(drawn["kept"]) == pytest.approx(0.125, abs=0.008)
    assert kstest(drawn["kept"], "beta", (0.5, 0.5)).statistic < 0.05  # whole pixels are not quite continuous
    top, left, bottom, right = drawn["cuts"].T
    small = drawn["kept"] > 0.99
    middles = np.stack(((top + bottom) / 2000, (left + right) / 1000))[:, small]
    assert small.sum() > 200
    assert all(kstest(middle, "uniform").statistic < 0.1 for middle in middles)
    assert abs(np.corrcoef(middles)[0, 1]) < 0.2


def test_batches_are_cut_as_often_as_asked_and_mixed_otherwise():
    plan = batch(8)[2]
    settings = Mixing(**BOTH, switch_probability=0.3, probability=0.8)
    drawn = [draw_mixing(settings, step, plan, (224, 224), 7) for step in range(2000)]
    cut = np.array([each["cuts"].any() for each in drawn])
    blended = np.array([(each["shares"] < 1).any() for each in drawn])
    assert not (cut & blended).any()
    assert cut.mean() == pytest.approx(0.8 * 0.3, abs=0.03)
    assert blended.mean() == pytest.approx(0.8 * 0.7, abs=0.04)


def erased(images: tf.Tensor, seeds: np.ndarray, **options) -> np.ndarray:
    settings = RandomErasing(**options)
    rectangles = erasing.draw(settings, seeds, images.shape[1:3])
    return erasing.erase(images, tf.constant(rectangles), tf.constant(seeds), settings.mode).numpy()


@pytest.mark.parametrize("mode", ["zero", "const", "rand", "pixel"])
def test_erasing_counts_areas_and_fills(mode):
    images = tf.fill((300, 32, 32, 3), 7.0)
    found = erased(images, batch(300, side=1)[2].seeds, probability=0.5, mode=mode)
    changed = (found != 7).all(axis=-1)
    chosen = changed.any(axis=(1, 2))
    assert chosen.mean() == pytest.approx(0.5, abs=0.08)
    shares = changed[chosen].mean(axis=(1, 2))
    assert 0.01 < shares.min() < 0.05
    assert 0.28 < shares.max() < 0.36
    assert shares.mean() == pytest.approx((0.02 + 1 / 3) / 2, abs=0.02)
    content = found[chosen][changed[chosen]]
    if mode in ("zero", "const"):
        assert not content.any()
    else:
        assert content.std() == pytest.approx(1, abs=0.12)
    colours = [len(np.unique(image[mask], axis=0)) for image, mask in zip(found[chosen], changed[chosen], strict=True)]
    assert (max(colours) == 1) == (mode != "pixel")


def test_each_of_several_rectangles_has_a_colour_of_its_own():
    found = erased(tf.fill((200, 64, 64, 1), 7.0), batch(200, side=1)[2].seeds, probability=1.0, mode="rand", count=3)
    colours = np.array([len(set(image[image != 7].tolist())) for image in found])
    assert set(colours) == {1, 2, 3}


@pytest.mark.parametrize("mode", ["rand", "pixel"])
def test_erasing_does_not_depend_on_the_batch(mode):
    images, seeds = tf.random.stateless_normal((8, 16, 16, 3), (1, 2)), batch(8)[2].seeds
    options = {"probability": 1.0, "count": 3, "mode": mode}
    whole = erased(images, seeds, **options)
    halves = [erased(images[part], seeds[part], **options) for part in (slice(0, 4), slice(4, 8))]
    np.testing.assert_array_equal(whole, np.concatenate(halves))


@pytest.mark.parametrize("erasing_mode", ["const", "rand", "pixel"])
def test_xla_mixes_and_erases_alike(erasing_mode):
    """Alone, and within a step that it compiles; the last bit may differ where a sum is rounded once instead of twice."""
    images, targets, plan = batch(16, side=20)
    settings = AugmentSettings(
        mixing={"mode": "element", **BOTH}, random_erasing={"probability": 0.5, "mode": erasing_mode, "count": 2}
    )
    rows = {"seeds": plan.seeds, **on_host(settings, PRESET, 7)(0, plan)}
    plain, compiled = on_device(settings, xla=False), on_device(settings)
    wanted = plain(images, targets, rows)
    for act in (compiled, tf.function(compiled, jit_compile=True), tf.function(plain, jit_compile=True)):
        for ours, theirs in zip(act(images, targets, rows), wanted, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)

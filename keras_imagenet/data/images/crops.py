"""Which part of an image the network sees, and that part alone decoded and resampled."""

from collections.abc import Callable, Sequence
from functools import partial

import tensorflow as tf

from keras_imagenet.data.images.boxes import Form, centre_boxes, random_boxes
from keras_imagenet.data.images.compiled_resample import resample_each
from keras_imagenet.data.images.declared import MAXIMUM_PIXELS
from keras_imagenet.data.images.rendering import rendering_of
from keras_imagenet.data.images.resample import margin, resample
from keras_imagenet.data.images.seen import Seen, decoded_pixels, divisors, look_at, of_each, pixels_of
from keras_imagenet.data.images.tracing import traced_once
from keras_imagenet.data.seeds import fold
from keras_imagenet.preset import Preset

_TOGETHER = 2**24
"""Pixels that are decoded before the first image is cut, at most, 50 MB of RGB: a group that has more is taken one image after
the other, so that no memory holds many large ones."""

Resampling = Callable[..., tf.Tensor]
"""resample_each, or what computes the same in TensorFlow's operations."""


@tf.autograph.experimental.do_not_convert
def evaluation_crops(images: Sequence[tf.Tensor], preset: Preset) -> tf.Tensor:
    """What evaluation, prediction and the SavedModel see of images.

    fit=crop resizes until the short side is size / crop_fraction and cuts the centre, as torchvision's Resize and
    CenterCrop do; fit=centre cuts that share of the short side first and resizes it, as TensorFlow's recipes and FFCV do;
    fit=pad resizes until the image fits and adds borders of the mean's colour; fit=squash ignores the aspect.

    Args:
        images: n string scalars of encoded bytes, or n images uint8 [h, w, c].
        preset: size, channels, fit, crop_fraction, kernel and antialias.

    Returns:
        uint8 [n, height, width, channels].

    Raises:
        tf.errors.InvalidArgumentError: the bytes cannot be decoded.
    """
    return _evaluation_crops([tf.convert_to_tensor(image) for image in images], preset, resample_each, MAXIMUM_PIXELS)


@tf.autograph.experimental.do_not_convert
def servable_evaluation_crop(image: tf.Tensor, preset: Preset, max_pixels: int = MAXIMUM_PIXELS) -> tf.Tensor:
    """The same pixels of one image, uint8 [height, width, channels], in operations that a SavedModel can hold.

    Raises tf.errors.InvalidArgumentError for bytes that cannot be decoded, or declare more than max_pixels.
    """
    return _evaluation_crops([tf.convert_to_tensor(image)], preset, _resampled_by_tensorflow, max_pixels)[0]


@tf.autograph.experimental.do_not_convert
def random_resized_crops(
    images: Sequence[tf.Tensor],
    seeds: tf.Tensor,
    preset: Preset,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    mirrored: tf.Tensor | None = None,
    *,
    form: Form = "torchvision",
    min_object_covered: float = 0.1,
) -> tf.Tensor:
    """A random part of each image (boxes.random_boxes), resized.

    Args:
        images: n string scalars of encoded bytes, or n images uint8 [h, w, c].
        seeds: int32 [n, 2], the examples' seeds.
        preset: size, channels, kernel and antialias; crop_fraction for form=tensorflow.
        scale: range of the crop's share of the image's area.
        ratio: range of width / height.
        mirrored: bool [n], whose results are to be mirrored left to right, which costs nothing here; None for nobody's.
        form: who draws so.
        min_object_covered: form=tensorflow's least share of the area.

    Returns:
        uint8 [n, height, width, channels].

    Raises:
        tf.errors.InvalidArgumentError: the part cannot be decoded.
    """
    seen = look_at([tf.convert_to_tensor(image) for image in images])
    windows = random_boxes(
        seen.sizes,
        fold(seeds, "random_resized_crop"),
        scale,
        ratio,
        form,
        min_object_covered=min_object_covered,
        shape=preset.size,
        crop_fraction=preset.crop_fraction,
    )
    return _cut(seen, windows, tf.cast(windows, tf.float64), preset, resample_each, mirrored)


def _evaluation_crops(images: list[tf.Tensor], preset: Preset, resampling: Resampling, max_pixels: int) -> tf.Tensor:
    if all(_shown_as_it_is(image, preset) for image in images):
        return _channels(tf.stack(images), preset)
    seen = look_at(images, max_pixels)
    if preset.fit == "pad":
        wholes = tf.pad(seen.sizes, [[0, 0], [2, 0]])
        act = partial(_padded, preset=preset, resampling=resampling)
        boxes = tf.cast(wholes, tf.float64)
        return _within_memory(act, preset, seen, wholes, boxes, tf.ones_like(seen.sizes[:, 0]))
    boxes = _evaluation_boxes(seen.sizes, preset)
    # Where an image is resized and then cut, pixels around the box count too; where it is cut first, none do.
    around = 0 if preset.fit == "centre" else margin(boxes, preset.size, preset.kernel, preset.antialias)
    start = tf.maximum(tf.cast(tf.floor(boxes[:, :2]), tf.int32) - around, 0)
    stop = tf.minimum(tf.cast(tf.math.ceil(boxes[:, :2] + boxes[:, 2:]), tf.int32) + around, seen.sizes)
    return _cut(seen, tf.concat((start, stop - start), axis=1), boxes, preset, resampling)


def _shown_as_it_is(image: tf.Tensor, preset: Preset) -> bool:
    """Whether the crop is known to be the whole image, of the size it has."""
    uncut = preset.fit in ("pad", "squash") or preset.crop_fraction == 1
    return image.dtype != tf.string and uncut and tuple(image.shape[:2]) == tuple(preset.size)


def _evaluation_boxes(sizes: tf.Tensor, preset: Preset) -> tf.Tensor:
    """The centre crops as boxes of the images before resizing: float64 [n, 4]; `sizes` is int32 [n, 2]."""
    wholes = tf.cast(sizes, tf.float64)
    if preset.fit == "squash":
        return tf.concat((tf.zeros_like(wholes), wholes), axis=1)
    if preset.fit == "centre":
        return tf.cast(centre_boxes(sizes, preset.size, preset.crop_fraction), tf.float64)
    # The resized image has whole numbers of pixels: one side is `short`, the other, rounded down, no less than that.
    short = tf.constant([int(side / preset.crop_fraction + 1e-6) for side in preset.size])
    resized = tf.maximum(tf.maximum(sizes * short[::-1] // sizes[:, ::-1], short), preset.size)
    corner = tf.round(tf.cast(resized - preset.size, tf.float64) / 2)
    per_pixel = wholes / tf.cast(resized, tf.float64)
    return tf.concat((corner * per_pixel, per_pixel * preset.size), axis=1)


def _cut(
    seen: Seen,
    windows: tf.Tensor,
    boxes: tf.Tensor,
    preset: Preset,
    resampling: Resampling,
    mirrored: tf.Tensor | None = None,
) -> tf.Tensor:
    """The boxes, float64 [n, 4], resampled to the preset's size, of what is decoded in windows, int32 [n, 4]."""

    def act(seen: Seen, windows: tf.Tensor, boxes: tf.Tensor, divided: tf.Tensor, *mirrored: tf.Tensor) -> tf.Tensor:
        parts, starts, boxes = pixels_of(seen, windows, boxes, divided, rendering_of(preset))
        how = preset.size, preset.kernel, preset.antialias
        return _channels(resampling(parts, starts, boxes, *how, *mirrored), preset)

    more = () if mirrored is None else (mirrored,)
    return _within_memory(act, preset, seen, windows, boxes, divisors(seen, boxes, preset.size), *more)


def _within_memory(
    act: Callable[..., tf.Tensor],
    preset: Preset,
    seen: Seen,
    windows: tf.Tensor,
    boxes: tf.Tensor,
    divided: tf.Tensor,
    *more: tf.Tensor,
) -> tf.Tensor:
    """What `act` makes of images and rows: of all together, or of one after the other where they are large."""
    rows = windows, boxes, divided, *more
    n = len(seen.images)
    if not seen.are_encoded or n == 1:
        return act(seen, *rows)

    def in_turn(images: Sequence[tf.Tensor], facts: tf.Tensor, *rows: tf.Tensor) -> tf.Tensor:
        def of_one(image: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
            return act(Seen([image], facts[row, tf.newaxis]), *[values[row, tf.newaxis] for values in rows])[0]

        return tf.stack(of_each(images, of_one, tf.TensorSpec(preset.input_shape, tf.uint8), at_once=1))

    large = in_turn if tf.executing_eagerly() else traced_once(in_turn)
    small = decoded_pixels(seen, windows, divided) <= _TOGETHER
    return tf.cond(small, lambda: act(seen, *rows), lambda: large(seen.images, seen.facts, *rows))


def _resampled_by_tensorflow(images: Sequence[tf.Tensor], starts: tf.Tensor, boxes: tf.Tensor, *how) -> tf.Tensor:
    rows = zip(images, tf.unstack(starts), tf.unstack(boxes), strict=True)
    return tf.stack([resample(image[:, start:], box, *how) for image, start, box in rows])


def _padded(
    seen: Seen, windows: tf.Tensor, boxes: tf.Tensor, divided: tf.Tensor, preset: Preset, resampling: Resampling
) -> tf.Tensor:
    """The whole images as large as they fit, in the middle, with borders of the mean's colour."""
    parts, starts, boxes = pixels_of(seen, windows, boxes, divided, rendering_of(preset))
    target = tf.constant(preset.size)
    scale = tf.reduce_min(tf.cast(target, tf.float64) / boxes[:, 2:], axis=1, keepdims=True)
    sizes = tf.clip_by_value(tf.cast(tf.round(boxes[:, 2:] * scale), tf.int32), 1, target)
    colour = tf.constant([round(255 * mean) for mean in preset.mean], tf.int32)

    def padded(part: tf.Tensor, start: tf.Tensor, box: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        how = size, preset.kernel, preset.antialias
        inner = _channels(resampling([part], start[tf.newaxis], box[tf.newaxis], *how), preset)[0]
        before = (target - size) // 2
        paddings = tf.concat((tf.stack((before, target - size - before), axis=1), [[0, 0]]), axis=0)
        # Pad fills with one number only: pad what exceeds the colour, modulo 256.
        inner = tf.pad((tf.cast(inner, tf.int32) - colour) % 256, paddings)
        return tf.ensure_shape(tf.cast((inner + colour) % 256, tf.uint8), preset.input_shape)

    rows = zip(parts, tf.unstack(starts), tf.unstack(boxes), tf.unstack(sizes), strict=True)
    return tf.stack([padded(*row) for row in rows])


def _channels(pixels: tf.Tensor, preset: Preset) -> tf.Tensor:
    """uint8 [n, h, w, 1 or 3] with as many channels as the preset has; grey is ITU-R 601's luma, as Pillow rounds it."""
    if pixels.shape[-1] == preset.channels:
        return pixels
    if preset.channels == 3:
        return tf.repeat(pixels, 3, axis=-1)
    luma = tf.tensordot(tf.cast(pixels, tf.int32), tf.constant([19_595, 38_470, 7_471]), 1)
    return tf.cast(tf.bitwise.right_shift(luma + 32_768, 16), tf.uint8)[..., tf.newaxis]

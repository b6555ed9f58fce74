"""Which part of an image the network sees, and that part alone decoded and resampled."""

import math
from functools import partial

import tensorflow as tf

from keras_imagenet.data.augment.seeds import fold
from keras_imagenet.data.images.branches import apart
from keras_imagenet.data.images.decoding import decode, on_format
from keras_imagenet.data.images.jpeg import Cut, Place, cut_jpeg, cut_upright_jpeg, starts_with_tables, within
from keras_imagenet.data.images.resample import margin, resample
from keras_imagenet.data.preset import Preset

_ATTEMPTS = 10


@tf.autograph.experimental.do_not_convert
def evaluation_crop(image: tf.Tensor, preset: Preset) -> tf.Tensor:
    """What evaluation, prediction and the SavedModel see of an image.

    fit=crop resizes until the short side is size / crop_fraction and cuts the centre, as torchvision's Resize and
    CenterCrop do; fit=pad resizes until the image fits and adds borders of the mean's colour; fit=squash ignores the
    aspect.

    Args:
        image: string scalar of encoded bytes, or uint8 [h, w, c].
        preset: size, channels, fit, crop_fraction, kernel and antialias.

    Returns:
        uint8 [height, width, channels].

    Raises:
        tf.errors.InvalidArgumentError: the bytes cannot be decoded.
    """
    if preset.fit == "pad":
        return _padded(image, preset)

    def place(size: tf.Tensor, cut: Cut) -> tf.Tensor:
        box = _evaluation_box(size, preset)
        if preset.kernel != "area":
            return cut(*_around(box, size, preset))
        # Averages are taken of whole pixels, which is twice as fast and moves the border by half a pixel at most.
        return tf.cond(
            tf.reduce_all(box[2:] >= preset.size),
            lambda: cut(tf.cast(tf.round(box), tf.int32), None),
            apart(lambda: cut(*_around(box, size, preset))),
        )

    return _cut(image, preset, place)


@tf.autograph.experimental.do_not_convert
def random_resized_crop(
    image: tf.Tensor,
    seed: tf.Tensor,
    preset: Preset,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> tf.Tensor:
    """A random part of an image, resized (arXiv:1409.4842 section 6, with torchvision's way of drawing).

    The area's share is uniform in `scale`, the aspect log-uniform in `ratio`; of ten draws the first that lies within
    the image counts, else the largest centre crop whose aspect is allowed.

    Args:
        image: string scalar of encoded bytes, or uint8 [h, w, c].
        seed: int32 [2], the example's seed.
        preset: size, channels, kernel and antialias.
        scale: range of the crop's share of the image's area.
        ratio: range of width / height.

    Returns:
        uint8 [height, width, channels].

    Raises:
        tf.errors.InvalidArgumentError: the part cannot be decoded.
    """
    seed = fold(seed, "random_resized_crop")
    return _cut(image, preset, lambda size, cut: cut(random_box(size, seed, scale, ratio), None))


def random_box(size: tf.Tensor, seed: tf.Tensor, scale: tuple[float, float], ratio: tuple[float, float]) -> tf.Tensor:
    """The box of random_resized_crop: int32 [4] (top, left, height, width) in an image of `size` int32 [2]."""
    whole = tf.cast(size, tf.float32)
    draws = tf.random.stateless_uniform((2 * _ATTEMPTS + 2,), seed)
    shares = scale[0] + (scale[1] - scale[0]) * draws[:_ATTEMPTS]
    logarithms = math.log(ratio[0]), math.log(ratio[1])
    aspects = tf.exp(logarithms[0] + (logarithms[1] - logarithms[0]) * draws[_ATTEMPTS:-2])
    areas = shares * tf.reduce_prod(whole)
    sizes = tf.round(tf.sqrt(tf.stack((areas / aspects, areas * aspects), axis=1)))  # [attempts, 2]
    fits = tf.reduce_all((sizes > 0) & (sizes <= whole), axis=1)
    centre = tf.clip_by_value(tf.round(whole[::-1] * [1 / ratio[0], ratio[1]]), 1.0, whole)
    found = tf.reduce_any(fits)
    chosen = tf.where(found, sizes[tf.argmax(tf.cast(fits, tf.int32))], centre)
    room = whole - chosen
    corner = tf.minimum(tf.floor(tf.where(found, draws[-2:] * (room + 1), room / 2)), room)
    return tf.cast(tf.concat((corner, chosen), axis=0), tf.int32)


def _evaluation_box(size: tf.Tensor, preset: Preset) -> tf.Tensor:
    """The centre crop as a box of the image before resizing: float64 [4]; `size` is int32 [2]."""
    whole = tf.cast(size, tf.float64)
    if preset.fit == "squash":
        return tf.concat((tf.zeros(2, tf.float64), whole), axis=0)
    # The resized image has whole numbers of pixels: one side is `short`, the other, rounded down, no less than that.
    short = tf.constant([int(side / preset.crop_fraction) for side in preset.size])
    resized = tf.maximum(tf.maximum(size * short[::-1] // size[::-1], short), preset.size)
    corner = tf.round(tf.cast(resized - preset.size, tf.float64) / 2)
    per_pixel = whole / tf.cast(resized, tf.float64)
    return tf.concat((corner * per_pixel, per_pixel * preset.size), axis=0)


def _cut(image: tf.Tensor, preset: Preset, place: Place) -> tf.Tensor:
    """The part of an image that `place` names, decoded and resampled."""
    resampled = partial(resample, size=preset.size, kernel=preset.kernel, antialias=preset.antialias)

    def from_pixels(pixels: tf.Tensor) -> tf.Tensor:
        def cut(window: tf.Tensor, box: tf.Tensor | None) -> tf.Tensor:
            part = pixels[window[0] : window[0] + window[2], window[1] : window[1] + window[3]]
            return resampled(part, within(box, window))

        return place(tf.shape(pixels)[:2], cut)

    # An average sees each colour where it is stored; what is interpolated between is for kernels that sample points.
    smooth_chroma = preset.kernel != "area"

    def usual() -> tf.Tensor:
        return cut_upright_jpeg(image, preset.size, place, resampled, smooth_chroma)

    def any_other() -> tf.Tensor:
        return on_format(image, lambda: cut_jpeg(image, preset.size, place, resampled, smooth_chroma), from_pixels)

    image = tf.convert_to_tensor(image)
    if image.dtype != tf.string:
        return _channels(from_pixels(image), preset)
    return _channels(tf.cond(starts_with_tables(image), usual, apart(any_other)), preset)


def _around(box: tf.Tensor, size: tf.Tensor, preset: Preset) -> tuple[tf.Tensor, tf.Tensor]:
    """The whole pixels of an image of `size` that a box needs, and the box: where an image is resized and then cut, pixels
    around the box count too."""
    around = margin(box, preset.size, preset.kernel, preset.antialias)
    start = tf.maximum(tf.cast(tf.floor(box[:2]), tf.int32) - around, 0)
    stop = tf.minimum(tf.cast(tf.math.ceil(box[:2] + box[2:]), tf.int32) + around, size)
    return tf.concat((start, stop - start), axis=0), box


def _padded(image: tf.Tensor, preset: Preset) -> tf.Tensor:
    """The whole image as large as it fits, in the middle, with borders of the mean's colour."""
    image = tf.convert_to_tensor(image)
    pixels = decode(image, smooth_chroma=preset.kernel != "area") if image.dtype == tf.string else image
    whole = tf.cast(tf.shape(pixels)[:2], tf.float64)
    target = tf.constant(preset.size)
    scale = tf.reduce_min(tf.cast(target, tf.float64) / whole)
    size = tf.clip_by_value(tf.cast(tf.round(whole * scale), tf.int32), 1, target)
    inner = _channels(resample(pixels, None, size, preset.kernel, preset.antialias), preset)
    before = (target - size) // 2
    paddings = tf.concat((tf.stack((before, target - size - before), axis=1), [[0, 0]]), axis=0)
    colour = tf.constant([round(255 * mean) for mean in preset.mean], tf.int32)
    # Pad fills with one number only: pad what exceeds the colour, modulo 256.
    inner = tf.pad((tf.cast(inner, tf.int32) - colour) % 256, paddings)
    return tf.ensure_shape(tf.cast((inner + colour) % 256, tf.uint8), preset.input_shape)


def _channels(pixels: tf.Tensor, preset: Preset) -> tf.Tensor:
    """uint8 [h, w, 1 or 3] with as many channels as the preset has; grey is ITU-R 601's luma, as Pillow rounds it."""
    if pixels.shape[-1] == preset.channels:
        return pixels
    if preset.channels == 3:
        return tf.repeat(pixels, 3, axis=-1)
    luma = tf.tensordot(tf.cast(pixels, tf.int32), tf.constant([19_595, 38_470, 7_471]), 1)
    return tf.cast(tf.bitwise.right_shift(luma + 32_768, 16), tf.uint8)[..., tf.newaxis]

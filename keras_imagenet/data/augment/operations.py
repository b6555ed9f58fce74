"""The operations that the random policies choose from, with Pillow's arithmetic, in machine code.

Each takes an image uint8 [h, w, 1 or 3] and one number, its argument:

    identity, auto_contrast, equalize, invert   nothing
    posterize                                   how many of the highest bits stay, 0 to 8
    solarize                                    from which value on values are inverted, 0 to 256
    solarize_add                                what is added to values below 128
    brightness, contrast, saturation, sharpness the image's share in a blend with black, its mean grey, its grey and its
                                                smoothed self; 1 leaves it as it is
    contrast_with_count                         the same with a grey of pixels / 256, up to 255, as Google's policies have it
    hue                                         by how many turns of the colour circle, in -0.5..0.5
    cutout                                      half the side of a square about a place, which takes the fill's colour
    shear_x, shear_y                            the shift to the left or upwards for each pixel further down or to the right
    translate_x, translate_y                    the shift to the left or upwards in pixels
    rotate                                      degrees, counter-clockwise about the centre

Blends are float32 and maps float64, both in Pillow's order and cut off, as it does; maps sample the nearest pixel, bilinear or,
with Pillow's coefficient of -1, bicubic. All stands in one file, because what Numba keeps on disk is renewed when the file
that the outermost function stands in changes.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from keras_imagenet.data.machine_code import aligned, compiled

Fill = tuple[int, ...]
Sampling = Literal["nearest", "bilinear", "bicubic"]

NAMES = (
    *("identity", "auto_contrast", "equalize", "invert", "posterize", "solarize", "solarize_add", "brightness"),
    *("contrast", "saturation", "sharpness", "hue", "shear_x", "shear_y", "translate_x", "translate_y", "rotate"),
    *("cutout", "contrast_with_count"),
)
NUMBERS = {name: number for number, name in enumerate(NAMES)}
_IDENTITY, _AUTO_CONTRAST, _EQUALIZE, _INVERT, _POSTERIZE, _SOLARIZE, _SOLARIZE_ADD, _BRIGHTNESS = range(8)
_CONTRAST, _SATURATION, _SHARPNESS, _HUE, _SHEAR_X, _SHEAR_Y, _TRANSLATE_X, _TRANSLATE_Y, _ROTATE = range(8, 17)
_CUTOUT, _CONTRAST_WITH_COUNT = range(17, 19)
_SAMPLINGS = {"nearest": 0, "bilinear": 1, "bicubic": 2}
_NEAREST, _BILINEAR, _BICUBIC = range(3)

_RED, _GREEN, _BLUE = np.float32(19_595), np.float32(38_470), np.float32(7_471)  # of 65,536: ITU-R 601 as Pillow has it
_ZERO, _SIX, _MOST = np.float32(0), np.float32(6), np.float32(255)
# Unsigned, because an index that may be negative is looked at twice.
_1, _2, _3 = np.uint64(1), np.uint64(2), np.uint64(3)


def operate(
    images: np.ndarray,
    operations: np.ndarray,
    arguments: np.ndarray,
    fill: Sequence[int],
    sampling: Sampling = "bilinear",
    places: np.ndarray | None = None,
) -> np.ndarray:
    """Images after operations, one after the other.

    Args:
        images: uint8 [n, h, w, 1 or 3].
        operations: int64 [n m, k], numbers of operations: m rows for each image, which make m results of it.
        arguments: float64 [n m, k].
        fill: the colour of what has no pixels, 1 or 3 numbers.
        sampling: how maps sample: shears, translations, rotations.
        places: [n m, k, 2], where each operation that has one takes place, down and across in 0..1; None for the corner.

    Returns:
        uint8 [n m, h, w, 1 or 3].
    """
    results = aligned((len(operations), *images.shape[1:]))
    places = np.zeros((*operations.shape, 2)) if places is None else places.astype(np.float64)
    _operate_each(images, operations, arguments, places, np.array(fill, np.uint8), _SAMPLINGS[sampling], results)
    return results


@compiled
def _operate_each(
    images: np.ndarray,
    operations: np.ndarray,
    arguments: np.ndarray,
    places: np.ndarray,
    fill: np.ndarray,
    sampling: int,
    results: np.ndarray,
) -> None:
    between = np.empty(images.shape[1:], np.uint8)
    for row in range(len(results)):
        image = images[row * len(images) // len(results)]
        _chain(image, operations[row], arguments[row], places[row], fill, sampling, between, results[row])


@compiled
def _chain(
    image: np.ndarray,
    operations: np.ndarray,
    arguments: np.ndarray,
    places: np.ndarray,
    fill: np.ndarray,
    sampling: int,
    between: np.ndarray,
    result: np.ndarray,
) -> None:
    """The operations one after the other; `between` and result take turns, so that the last one writes the result."""
    left = 0
    for operation in operations:
        left += operation != _IDENTITY
    if left == 0:
        _copy(image.reshape(-1), result.reshape(-1))
    source = image
    for step in range(len(operations)):
        if operations[step] != _IDENTITY:
            left -= 1
            target = between if left % 2 else result
            _operate(source, operations[step], arguments[step], places[step], fill, sampling, target)
            source = target


@compiled
def _operate(
    source: np.ndarray,
    operation: int,
    argument: float,
    place: np.ndarray,
    fill: np.ndarray,
    sampling: int,
    target: np.ndarray,
) -> None:
    height, width, channels = source.shape
    # TensorFlow's maps, which sample the nearest pixel, go by pixels' corners.
    corner = -0.5 * argument if sampling == _NEAREST else 0.0
    values, results, share = source.reshape(-1), target.reshape(-1), np.float32(argument)
    if channels == 1 and operation in (_SATURATION, _HUE):
        _copy(values, results)
    elif operation == _SATURATION:
        _saturate(values, share, results)
    elif operation == _HUE:
        _turn_hue(values, share, results)
    elif operation == _SHARPNESS:
        _sharpen(values, height, channels, share, results)
    elif operation == _SHEAR_X:
        _transform(source, (1.0, argument, corner, 0.0, 1.0, 0.0), fill, sampling, target)
    elif operation == _SHEAR_Y:
        _transform(source, (1.0, 0.0, 0.0, argument, 1.0, corner), fill, sampling, target)
    elif operation == _TRANSLATE_X:
        _transform(source, (1.0, 0.0, argument, 0.0, 1.0, 0.0), fill, sampling, target)
    elif operation == _TRANSLATE_Y:
        _transform(source, (1.0, 0.0, 0.0, 0.0, 1.0, argument), fill, sampling, target)
    elif operation == _ROTATE:
        _transform(source, _turn(argument, height, width), fill, sampling, target)
    elif operation == _CUTOUT:
        _cut_out(source, int(argument), place, fill, target)
    else:
        tables = np.empty((channels, 256), np.uint8)
        if operation in (_AUTO_CONTRAST, _EQUALIZE):
            counts = _histograms(values, channels)
            for channel in range(channels):
                if operation == _EQUALIZE:
                    _equalized(counts[channel], tables[channel])
                else:
                    _stretched(counts[channel], tables[channel])
        else:
            mean = _mean_grey(values, channels) if operation == _CONTRAST else 0
            if operation == _CONTRAST_WITH_COUNT:
                mean = min(height * width // 256, 255)
            for channel in range(channels):
                _change(operation, argument, mean, tables[channel])
        _look_up(values, channels, tables, results)


@compiled
def _copy(values: np.ndarray, results: np.ndarray) -> None:
    for place in range(len(values)):  # many times faster than a slice's assignment, which has several dimensions
        results[place] = values[place]


@compiled
def _cut(value: np.float32) -> np.uint8:
    """Within 0..255, without its fraction."""
    return np.uint8(np.int32(min(max(value, _ZERO), _MOST)))


@compiled
def _look_up(values: np.ndarray, channels: int, tables: np.ndarray, results: np.ndarray) -> None:
    """Each value's place in its channel's table; tables uint8 [c, 256]."""
    if channels == 1:
        for place in range(len(values)):
            results[place] = tables[0, values[place]]
    else:
        red, green, blue = tables[0], tables[1], tables[2]
        for pixel in range(len(values) // 3):
            results[3 * pixel] = red[values[3 * pixel]]
            results[3 * pixel + 1] = green[values[3 * pixel + 1]]
            results[3 * pixel + 2] = blue[values[3 * pixel + 2]]


@compiled
def _change(operation: int, argument: float, mean: int, table: np.ndarray) -> None:
    """What becomes of each value, whatever the others are, or by their mean alone."""
    share, grey = np.float32(argument), np.float32(mean)
    for value in range(256):
        if operation == _INVERT:
            table[value] = 255 - value
        elif operation == _POSTERIZE:
            table[value] = value & (255 << (8 - int(argument)))
        elif operation == _SOLARIZE:
            table[value] = value if value < argument else 255 - value
        elif operation == _SOLARIZE_ADD:
            table[value] = min(value + int(argument), 255) if value < 128 else value
        else:  # brightness and both contrasts
            table[value] = _cut(grey + share * (np.float32(value) - grey))


@compiled
def _histograms(values: np.ndarray, channels: int) -> np.ndarray:
    """How often each channel has each value: int64 [c, 256]."""
    counts = np.zeros((channels, 256), np.int64)
    if channels == 1:
        for place in range(len(values)):
            counts[0, values[place]] += 1
    else:
        red, green, blue = counts[0], counts[1], counts[2]
        for pixel in range(len(values) // 3):
            red[values[3 * pixel]] += 1
            green[values[3 * pixel + 1]] += 1
            blue[values[3 * pixel + 2]] += 1
    return counts


@compiled
def _stretched(counts: np.ndarray, table: np.ndarray) -> None:
    """The table that spreads a channel's values to 0..255 (ImageOps.autocontrast)."""
    low, high = 0, 255
    while counts[low] == 0:
        low += 1
    while counts[high] == 0:
        high -= 1
    scale = 255.0 / (high - low) if high > low else 1.0
    offset = -low * scale if high > low else 0.0
    for value in range(256):
        table[value] = min(max(int(value * scale + offset), 0), 255)


@compiled
def _equalized(counts: np.ndarray, table: np.ndarray) -> None:
    """The table that makes a channel's values about equally frequent (ImageOps.equalize)."""
    high = 255
    while counts[high] == 0:
        high -= 1
    step = (counts.sum() - counts[high]) // 255
    before = step // 2
    for value in range(256):
        table[value] = min(before // step, 255) if step > 0 else value
        before += counts[value]


@compiled
def _grey(red: np.float32, green: np.float32, blue: np.float32) -> np.float32:
    """ITU-R 601's as Pillow rounds it; whole numbers below 2**24 throughout, so exact."""
    return np.floor((_RED * red + _GREEN * green + _BLUE * blue + np.float32(32_768)) * np.float32(1 / 65_536))


@compiled
def _mean_grey(values: np.ndarray, channels: int) -> int:
    """The rounded mean of the grey."""
    total, pixels = 0, len(values) // channels
    if channels == 1:
        total = values.sum()
    else:
        for pixel in range(pixels):
            place = 3 * pixel
            red, green, blue = np.float32(values[place]), np.float32(values[place + 1]), np.float32(values[place + 2])
            total += np.int32(_grey(red, green, blue))
    return int(total / pixels + 0.5)


@compiled
def _saturate(values: np.ndarray, share: np.float32, results: np.ndarray) -> None:
    for pixel in range(len(values) // 3):
        place = 3 * pixel
        red, green, blue = np.float32(values[place]), np.float32(values[place + 1]), np.float32(values[place + 2])
        grey = _grey(red, green, blue)
        results[place] = _cut(grey + share * (red - grey))
        results[place + 1] = _cut(grey + share * (green - grey))
        results[place + 2] = _cut(grey + share * (blue - grey))


@compiled
def _turn_hue(values: np.ndarray, turns: np.float32, results: np.ndarray) -> None:
    """By the HSV model, in sixths of its circle: to the hue, to the new hue and back, rounded."""
    for pixel in range(len(values) // 3):
        place = 3 * pixel
        red, green, blue = np.float32(values[place]), np.float32(values[place + 1]), np.float32(values[place + 2])
        high = max(red, max(green, blue))
        chroma = high - min(red, min(green, blue))
        scale = np.float32(1) / max(chroma, np.float32(1))
        hue = np.float32(4) + (red - green) * scale
        hue = np.float32(2) + (blue - red) * scale if high == green else hue
        hue = (green - blue) * scale if high == red else hue
        hue += _SIX * (np.float32(1) + turns)
        results[place] = _of_hue(hue + np.float32(5), high, chroma)
        results[place + 1] = _of_hue(hue + np.float32(3), high, chroma)
        results[place + 2] = _of_hue(hue + np.float32(1), high, chroma)


@compiled
def _of_hue(sixths: np.float32, high: np.float32, chroma: np.float32) -> np.uint8:
    """A channel's value, that many sixths from where it is highest before the second and lowest after the fourth."""
    sixths -= _SIX * np.floor(sixths * np.float32(1 / 6))
    share = max(min(min(sixths, np.float32(4) - sixths), np.float32(1)), _ZERO)
    return _cut(high - chroma * share + np.float32(0.5))


@compiled
def _sharpen(values: np.ndarray, height: int, channels: int, share: np.float32, results: np.ndarray) -> None:
    """The border stays; within it the kernel of 1 1 1, 1 5 1, 1 1 1 over 13, rounded, is what is blended with."""
    _copy(values, results)
    size = len(values) // height
    inner = size - 2 * channels
    sums = np.empty(size, np.uint16)
    for start in range(size, (height - 1) * size, size):
        above, row, below = values[start - size : start], values[start : start + size], values[start + size :]
        for place in range(size):
            sums[place] = above[place] + row[place] + below[place]
        if inner > 0:
            left, middle, right = sums[:inner], sums[channels : size - channels], sums[2 * channels :]
            own, result = row[channels : size - channels], results[start + channels : start + size - channels]
            for place in range(inner):
                total = np.int32(left[place] + middle[place] + right[place] + 4 * own[place])
                smooth = np.floor(np.float32(total) * np.float32(1 / 13) + np.float32(0.5))
                result[place] = _cut(smooth + share * (np.float32(own[place]) - smooth))


@compiled
def _turn(degrees: float, height: int, width: int) -> tuple[float, float, float, float, float, float]:
    """Image.rotate's map about the centre."""
    angle = -math.radians(degrees % 360.0)
    cosine, sine = np.rint(math.cos(angle) * 1e15) / 1e15, np.rint(math.sin(angle) * 1e15) / 1e15
    x, y = width / 2.0, height / 2.0
    return cosine, sine, cosine * -x + sine * -y + x, -sine, cosine, -sine * -x + cosine * -y + y


@compiled
def _transform(
    source: np.ndarray,
    mapping: tuple[float, float, float, float, float, float],
    fill: np.ndarray,
    sampling: int,
    target: np.ndarray,
) -> None:
    """Image.transform: (x, y), a pixel's centre, takes its value from (a x + b y + c, d x + e y + f).

    Sources beyond the outer centres have the edge's value, outside the image the fill's.
    """
    height, width, channels = source.shape
    if sampling != _BILINEAR:
        _sample_each(source, mapping, fill, sampling, target)
        return
    # Pixels are four values wide here, so that they become vectors.
    pixels, line = np.zeros(4 * height * width, np.uint8), np.empty(4 * width, np.uint8)
    _respace(source.reshape(-1), channels, pixels, 4)
    corners, rights, belows = np.empty(width, np.int32), np.empty(width, np.int32), np.empty(width, np.int32)
    across, down = np.empty(width), np.empty(width)
    for row in range(height):
        _places(mapping, row, height, corners, rights, belows, across, down)
        for column in range(width):
            place = np.uint64(4 * column)
            if corners[column] < 0:
                for channel in range(channels):
                    line[place + np.uint64(channel)] = fill[channel]
            else:
                corner, right, below = np.uint64(corners[column]), np.uint64(rights[column]), np.uint64(belows[column])
                _between(pixels, corner, right, below, across[column], down[column], line, place)
        _respace(line, 4, target[row].reshape(-1), channels)


@compiled
def _respace(values: np.ndarray, width: int, results: np.ndarray, new: int) -> None:
    """Pixels of `width` values in pixels of `new` values, three of them or one."""
    if width == 3:
        for pixel in range(len(values) // 3):
            for channel in range(3):
                results[4 * pixel + channel] = values[3 * pixel + channel]
            results[4 * pixel + 3] = 0
    elif new == 3:
        for pixel in range(len(results) // 3):
            for channel in range(3):
                results[3 * pixel + channel] = values[4 * pixel + channel]
    else:
        for pixel in range(len(values) // width):
            results[new * pixel] = values[width * pixel]


@compiled
def _places(
    mapping: tuple[float, float, float, float, float, float],
    row: int,
    height: int,
    corners: np.ndarray,
    rights: np.ndarray,
    belows: np.ndarray,
    across: np.ndarray,
    down: np.ndarray,
) -> None:
    """Which four pixels each of a row lies between, in values of four a pixel.

    Where the upper left one begins, or -1 outside the image; how far further the ones to its right and below it do, which is
    0 at the edge; and the shares of the way to them.
    """
    a, b, c, d, e, f = mapping
    width, y = len(corners), row + 0.5
    for column in range(width):
        x = column + 0.5
        source_x, source_y = a * x + b * y + c, d * x + e * y + f
        inside = (source_x >= 0.0) & (source_x < width) & (source_y >= 0.0) & (source_y < height)
        whole_x, whole_y = np.floor(source_x - 0.5), np.floor(source_y - 0.5)
        across[column], down[column] = source_x - 0.5 - whole_x, source_y - 0.5 - whole_y
        left, top = np.int32(whole_x), np.int32(whole_y)
        corner = np.int32(4 * (max(top, 0) * width + max(left, 0)))
        corners[column] = corner if inside else np.int32(-1)
        rights[column] = 4 if (left >= 0) & (left + 1 < width) else 0
        belows[column] = 4 * width if (top >= 0) & (top + 1 < height) else 0


@compiled
def _between(
    pixels: np.ndarray, corner: int, right: int, below: int, across: float, down: float, line: np.ndarray, place: int
) -> None:
    """The values of a pixel between four, at a place in a line."""
    # All are read before one is written, and without a loop: else they do not become vectors.
    first = _blended(pixels, corner, right, below, across, down)
    second = _blended(pixels, corner + _1, right, below, across, down)
    third = _blended(pixels, corner + _2, right, below, across, down)
    fourth = _blended(pixels, corner + _3, right, below, across, down)
    line[place], line[place + _1], line[place + _2], line[place + _3] = first, second, third, fourth


@compiled
def _blended(pixels: np.ndarray, corner: int, right: int, below: int, across: float, down: float) -> np.uint8:
    near = pixels[corner] + (np.float64(pixels[corner + right]) - pixels[corner]) * across
    corner += below
    far = pixels[corner] + (np.float64(pixels[corner + right]) - pixels[corner]) * across
    return np.uint8(np.int32(near + (far - near) * down))


@compiled
def _sample_each(
    source: np.ndarray,
    mapping: tuple[float, float, float, float, float, float],
    fill: np.ndarray,
    sampling: int,
    target: np.ndarray,
) -> None:
    """_transform by the nearest pixel, or bicubic."""
    a, b, c, d, e, f = mapping
    height, width, channels = source.shape
    for row in range(height):
        for column in range(width):
            x, y = column + 0.5, row + 0.5
            source_x, source_y = a * x + b * y + c, d * x + e * y + f
            inside = (source_x >= 0.0) & (source_x < width) & (source_y >= 0.0) & (source_y < height)
            for channel in range(channels):
                if not inside:
                    target[row, column, channel] = fill[channel]
                elif sampling == _NEAREST:
                    target[row, column, channel] = source[int(source_y), int(source_x), channel]
                else:
                    target[row, column, channel] = _bicubic(source, channel, source_x - 0.5, source_y - 0.5)


@compiled
def _bicubic(source: np.ndarray, channel: int, x: float, y: float) -> np.uint8:
    """Between 4 x 4 pixels, those of the edge for what lies beyond it."""
    height, width = source.shape[:2]
    left, top = math.floor(x), math.floor(y)
    across, down = x - left, y - top
    first, second = min(max(left - 1, 0), width - 1), min(max(left, 0), width - 1)
    third, fourth = min(max(left + 1, 0), width - 1), min(max(left + 2, 0), width - 1)
    above = _along(source[min(max(top - 1, 0), height - 1)], channel, first, second, third, fourth, across)
    upper = _along(source[min(max(top, 0), height - 1)], channel, first, second, third, fourth, across)
    lower = _along(source[min(max(top + 1, 0), height - 1)], channel, first, second, third, fourth, across)
    below = _along(source[min(max(top + 2, 0), height - 1)], channel, first, second, third, fourth, across)
    return np.uint8(np.int32(min(max(_cubic(above, upper, lower, below, down), 0.0), 255.0)))


@compiled
def _along(
    line: np.ndarray, channel: int, first: int, second: int, third: int, fourth: int, share: float
) -> np.float64:
    values = np.float64(line[first, channel]), np.float64(line[second, channel])
    return _cubic(values[0], values[1], np.float64(line[third, channel]), np.float64(line[fourth, channel]), share)


@compiled
def _cubic(first: float, second: float, third: float, fourth: float, share: float) -> float:
    """Pillow's cubic from the second of four values to the third, in its order."""
    slope, bend = -first + third, 2 * (first - second) + third - fourth
    return second + share * (slope + share * (bend + share * (-first + second - third + fourth)))


@compiled
def _cut_out(source: np.ndarray, half: int, place: np.ndarray, fill: np.ndarray, target: np.ndarray) -> None:
    height, width, channels = source.shape
    _copy(source.reshape(-1), target.reshape(-1))
    middle_y, middle_x = int(place[0] * height), int(place[1] * width)
    for row in range(max(middle_y - half, 0), min(middle_y + half, height)):
        for column in range(max(middle_x - half, 0), min(middle_x + half, width)):
            for channel in range(channels):
                target[row, column, channel] = fill[channel]

"""Large images: as many at once as a budget of pixels allows, whatever a group holds."""

import numpy as np
import pytest
import tensorflow as tf
from pictures import encoded, photo, with_orientation
from PIL import Image

from keras_imagenet.data.images import crops, evaluation_crops, random_resized_crops
from keras_imagenet.preset import Preset

SIDES = 300, 200
"""Three such images are more than are decoded together here."""


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_a_group_of_large_images_gives_what_each_gives_alone(fit, monkeypatch):
    monkeypatch.setattr(crops, "_TOGETHER", 2 * 300 * 200)
    large = photo(150, 200).resize(SIDES)
    kinds = [encoded(large, "PNG"), encoded(large, "GIF"), encoded(large), with_orientation(large, 6), encoded(photo())]
    kinds += [encoded(large, "BMP"), encoded(photo(), "PNG")]
    preset = Preset(size=(32, 40), fit=fit)
    seeds = tf.constant([(number, 5) for number in range(len(kinds))])
    mirrored = tf.constant([number % 2 == 1 for number in range(len(kinds))])
    spec = [tf.TensorSpec([len(kinds)], tf.string)]
    cut = tf.function(lambda images: evaluation_crops(tf.unstack(images), preset), spec)
    expected = [evaluation_crops([image], preset)[0] for image in kinds]
    np.testing.assert_array_equal(cut(tf.constant(kinds)), expected)
    np.testing.assert_array_equal(evaluation_crops(kinds, preset), expected)
    draw = tf.function(lambda images: random_resized_crops(tf.unstack(images), seeds, preset, mirrored=mirrored), spec)
    alone = [
        random_resized_crops([image], seeds[row : row + 1], preset, mirrored=mirrored[row : row + 1])[0]
        for row, image in enumerate(kinds)
    ]
    np.testing.assert_array_equal(draw(tf.constant(kinds)), alone)
    for graph in (cut, draw):
        assert graph.get_concrete_function().output_shapes == (len(kinds), 32, 40, 3)


PEAK = """
import resource, sys
import tensorflow as tf
from keras_imagenet.data.images import random_resized_crops
from keras_imagenet.preset import Preset

def crops_of(file):
    return random_resized_crops([tf.io.read_file(file) for _ in range(12)], tf.zeros((12, 2), tf.int32), Preset())

def peak(file, count):
    groups = tf.data.Dataset.range(count).map(lambda _: crops_of(file), num_parallel_calls=2)
    options = tf.data.Options()
    options.threading.private_threadpool_size = 2
    for _ in groups.with_options(options):
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

small, large = sys.argv[1:]
before = peak(small, 2)
print(peak(large, 2) - before)
"""


@pytest.mark.parametrize(("sides", "level"), [((5000, 3500), 6), ((3000, 2000), 0)])
def test_two_threads_need_the_memory_of_few_images_of_17_megapixels(python, tmp_path, sides, level):
    """A group of 12 PNGs for each thread: of a few kilobytes, 50 MB each when decoded, or of 18 MB, which are held once."""
    for name, size in (("small", (60, 40)), ("large", sides)):
        (tmp_path / name).write_bytes(encoded(Image.new("RGB", size, (9, 80, 200)), "PNG", compress_level=level))
    done = python(PEAK, tmp_path / "small", tmp_path / "large")
    assert done.returncode == 0, done.stderr[-300:]
    assert int(done.stdout) < 400_000  # kilobytes

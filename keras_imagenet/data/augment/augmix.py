"""AugMix (arXiv:1912.02781): chains of operations, blended with each other and with the image; torchvision's parameters."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from keras_imagenet.data.augment import operations, policies
from keras_imagenet.data.augment.seeds import fold

STRENGTHS = 10


def augmix(
    image: tf.Tensor,
    seed: tf.Tensor,
    fill: operations.Fill,
    *,
    severity: int = 3,
    width: int = 3,
    depth: int | None = None,
    alpha: float = 1.0,
) -> tf.Tensor:
    """Blend an image uint8 [h, w, c] with `width` chains of operations on it; seed int32 [2].

    A chain has `depth` operations, or 1 to 3 drawn evenly; each is drawn evenly from 13, its strength from the `severity`
    lowest of ten. The chains' weights are Dirichlet(alpha, ...), the image's share of the whole is Beta(alpha, alpha).
    Results are cut off to whole numbers.
    """
    choices = augmix_choices(image.shape[:2])
    weights = augmix_weights(seed, width, alpha)

    def operated(own: tf.Tensor, step: tf.Tensor, varied: tf.Tensor) -> tf.Tensor:
        draws = tf.random.stateless_uniform((3,), tf.random.fold_in(own, step + 1))
        index = tf.cast(draws[0] * len(choices), tf.int32)
        level = tf.floor(draws[1] * severity) / (STRENGTHS - 1)
        return policies.apply(varied, choices, index, level, tf.where(draws[2] < 0.5, -1.0, 1.0), fill)

    def with_chain(chain: tf.Tensor, mixed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        own = tf.random.fold_in(seed, chain)
        length = depth or 1 + tf.cast(3 * tf.random.stateless_uniform((), own), tf.int32)
        _, varied = tf.while_loop(
            lambda step, _: step < length,
            lambda step, varied: (step + 1, operated(own, step, varied)),
            (tf.constant(0), image),
        )
        return chain + 1, mixed + weights[chain] * tf.cast(varied, tf.float32)

    # Loops of the graph, because every operation would stand in it `width` times otherwise.
    start = (tf.constant(1), weights[0] * tf.cast(image, tf.float32))
    _, mixed = tf.while_loop(lambda chain, _: chain <= width, with_chain, start)
    # The summand outweighs rounding errors: equal pixels stay what they are.
    return tf.cast(tf.clip_by_value(mixed + 1e-3, 0, 255), tf.uint8)


@tf.autograph.experimental.do_not_convert
def with_views(
    example: dict[str, tf.Tensor], mixed: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
) -> dict[str, tf.Tensor]:
    """Examples of images uint8 [n, h, w, c] and seeds int32 [n, 2], and beside each two AugMixes of it for a consistency loss.

    mixed: augmix of an image and a seed. views: uint8 [n, 2, h, w, c], of which the first is what augmix alone would give.
    """

    def of_one(row: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        image, seed = row
        views = [tf.ensure_shape(mixed(image, own), image.shape) for own in (seed, tf.random.fold_in(seed, 1))]
        return tf.stack(views)

    images, seeds = example["images"], fold(example["seeds"], "augmix")
    shape = tf.TensorSpec((2, *images.shape[1:]), tf.uint8)
    return {**example, "views": tf.map_fn(of_one, (images, seeds), fn_output_signature=shape)}


def augmix_weights(seed: tf.Tensor, width: int, alpha: float) -> tf.Tensor:
    """The weights of the image and of each chain, float32 [1 + width], of sum 1; seed int32 [2]."""
    draws = tf.random.stateless_gamma((2 + width,), seed, alpha)
    share = draws[0] / (draws[0] + draws[1])
    return tf.concat((share[tf.newaxis], (1 - share) * draws[2:] / tf.reduce_sum(draws[2:])), axis=0)


def augmix_choices(size: Sequence[int]) -> list[policies.Choice]:
    """torchvision's thirteen operations for AugMix; size: height and width of the images."""
    height, width = size
    other = {
        "translate_x": lambda level, sign: -sign * tf.floor(width / 3 * level + 1e-5) / width,
        "translate_y": lambda level, sign: -sign * tf.floor(height / 3 * level + 1e-5) / height,
        "posterize": lambda level, sign: 4 - tf.round(4 * level),
    }
    shared = [choice for choice in policies.torchvision_choices(wide=False, size=size) if choice.name != "identity"]
    return [choice._replace(argument=other.get(choice.name, choice.argument)) for choice in shared]

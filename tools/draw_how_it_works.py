"""Draw the pictures of docs/how_it_works.md from a run on the digits: python tools/draw_how_it_works.py RUN FOLDER.

Every number drawn is computed by the run's own network on a held-out digit. RUN is what `keras-imagenet fit` leaves.
"""

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import keras
import matplotlib as mpl
import numpy as np
import tensorflow as tf
from PIL import Image

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from keras_imagenet import run_folder
from keras_imagenet.data.images.normalise import normalise
from keras_imagenet.data.sources import Source, open_source
from keras_imagenet.run_folder import RunFolder
from keras_imagenet.settings import SGDSettings
from keras_imagenet.training import objectives, optimizers

SHOWN_DIGIT = 2
STEP_RATE = 0.001
INK, SIGNED, HIGHLIGHT = "gray", "RdBu_r", "#e07b00"
COLORS = 200


@dataclass(frozen=True)
class Example:
    """A held-out digit: pixels uint8 [8, 8, 1], label, network input float32 [1, 8, 8, 1], outputs of layers by name."""

    pixels: np.ndarray
    label: int
    x: tf.Tensor
    outputs: dict[str, np.ndarray]


def main(run: str, directory: str) -> None:
    """Draw all pictures and print the numbers that the text quotes."""
    folder, target = run_folder.opened(run), Path(directory)
    target.mkdir(parents=True, exist_ok=True)
    plt.rcParams.update({"font.size": 9, "axes.titlesize": 10, "font.family": "DejaVu Sans"})
    network = keras.saving.load_model(folder.model_file, compile=False, safe_mode=True)
    held_out = open_source(folder.settings.data.source).validation
    easy, hard = _choose(network, folder, held_out)
    figures = {
        "input": draw_input(easy),
        "convolution": draw_convolution(network, easy),
        "feature_maps": draw_feature_maps(network, easy),
        "activation": draw_activation(network, easy),
        "pooling": draw_pooling(easy),
        "second_stage": draw_second_stage(easy),
        "dense": draw_dense(network, easy),
        "cross_entropy": draw_cross_entropy(easy, hard),
        "optimizer": draw_optimizer(network, folder, hard),
    }
    for name, figure in figures.items():
        _save(figure, target / f"{name}.png")


def draw_input(example: Example) -> Figure:
    """The digit as people see it, as bytes, and as the network gets it."""
    figure, (seen, stored, given) = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
    _image(seen, example.pixels[..., 0], "what people see", INK, 0, 255)
    _image(stored, example.pixels[..., 0], "what is stored: 0 to 255", INK, 0, 255, "{:.0f}")
    _image(given, example.x[0, ..., 0].numpy(), "what the network gets: -1 to 1", INK, -1, 1, "{:.1f}")
    return figure


def draw_convolution(network: keras.Model, example: Example) -> Figure:
    """One kernel on one patch, number by number, and the map it makes of the whole digit."""
    kernel, bias, before = _first_convolution(network, example)
    channel = _clearest(before, kernel)
    weights, values = kernel[:, :, 0, channel], before[..., channel]
    row, column = (int(i) + 1 for i in np.unravel_index(values[1:-1, 1:-1].argmax(), (6, 6)))
    x = example.x[0, ..., 0].numpy()
    patch = x[row - 1 : row + 2, column - 1 : column + 2]
    total = float((patch * weights).sum() + bias[channel])
    assert np.isclose(total, values[row, column], atol=1e-5)
    print(f"convolution: filter {channel}, row {row}, column {column}, value {total:.3f}")
    figure, axes = plt.subplots(1, 5, figsize=(9.6, 2.5), width_ratios=(8, 5, 5, 5, 8), layout="constrained")
    _image(axes[0], x, "input", INK, -1, 1)
    axes[0].add_patch(Rectangle((column - 1.5, row - 1.5), 3, 3, fill=False, edgecolor=HIGHLIGHT, linewidth=2.5))
    limit = float(np.abs(weights).max())
    _image(axes[1], patch, "3x3 patch", INK, -1, 1, "{:.1f}")
    _image(axes[2], weights, "times the kernel", SIGNED, -limit, limit, "{:.2f}")
    _image(axes[3], patch * weights, "gives products", SIGNED, -limit, limit, "{:.2f}")
    axes[3].set_xlabel(f"sum {(patch * weights).sum():.2f} + bias {bias[channel]:.2f}\n= {total:.2f}")
    limit = float(np.abs(values).max())
    _image(axes[4], values, "one value for each position", SIGNED, -limit, limit)
    axes[4].add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=HIGHLIGHT, linewidth=2.5))
    return figure


def draw_feature_maps(network: keras.Model, example: Example) -> Figure:
    """All kernels of the first convolution, and below each what it makes of the digit, after ReLU."""
    kernel = network.get_layer("stage1_conv").kernel.numpy()[:, :, 0]  # [3, 3, 32]
    maps = example.outputs["stage1_conv"]
    figure, axes = plt.subplots(4, 16, figsize=(9.6, 2.9), layout="constrained")
    limit = float(np.abs(kernel).max())
    for channel in range(32):
        top, column = 2 * (channel // 16), channel % 16
        _image(axes[top, column], kernel[..., channel], "", SIGNED, -limit, limit)
        _image(axes[top + 1, column], maps[..., channel], "", INK, 0, float(maps.max()) * 0.8)
    for row, name in enumerate(("kernels\n1 to 16", "maps", "kernels\n17 to 32", "maps")):
        axes[row, 0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    return figure


def draw_activation(network: keras.Model, example: Example) -> Figure:
    """A map before and after ReLU, and the function between them."""
    kernel, _, before = _first_convolution(network, example)
    channel = _clearest(before, kernel)
    after = example.outputs["stage1_conv"][..., channel]
    assert np.allclose(np.maximum(before[..., channel], 0), after, atol=1e-5)
    limit = float(np.abs(before[..., channel]).max())
    figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
    _image(axes[0], before[..., channel], "before", SIGNED, -limit, limit, "{:.1f}")
    z = np.linspace(-2, 2, 5)
    axes[1].plot(z, np.maximum(z, 0), color=HIGHLIGHT, linewidth=3)
    axes[1].set(title="ReLU(z) = max(z, 0)", xlabel="z", ylabel="ReLU(z)", aspect="equal")
    axes[1].grid(alpha=0.3)
    _image(axes[2], after, "after: no value is negative", SIGNED, -limit, limit, "{:.1f}")
    return figure


def draw_pooling(example: Example) -> Figure:
    """A map, cut into 2x2 cells of which the largest values stay."""
    maps, pooled = example.outputs["stage1_conv"], example.outputs["stage1_pool"]
    channel = int(maps.mean(axis=(0, 1)).argmax())
    before, after = maps[..., channel], pooled[..., channel]
    assert np.array_equal(before.reshape(4, 2, 4, 2).max(axis=(1, 3)), after)
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 3.7), layout="constrained")
    _image(axes[0], before, "8x8 before; marked: the largest of each 2x2", INK, 0, float(before.max()), "{:.1f}")
    _image(axes[1], after, "4x4 after", INK, 0, float(before.max()), "{:.1f}")
    for row in range(0, 8, 2):
        for column in range(0, 8, 2):
            axes[0].add_patch(
                Rectangle((column - 0.5, row - 0.5), 2, 2, fill=False, edgecolor="#4a90d9", linewidth=1.6)
            )
            y, x = np.unravel_index(before[row : row + 2, column : column + 2].argmax(), (2, 2))
            corner = (column + x - 0.45, row + y - 0.45)
            axes[0].add_patch(Rectangle(corner, 0.9, 0.9, fill=False, edgecolor=HIGHLIGHT, linewidth=2))
    return figure


def draw_second_stage(example: Example) -> Figure:
    """The 64 maps of the second convolution and what pooling leaves of them."""
    figure, panels = plt.subplots(1, 2, figsize=(9.6, 1.6), layout="constrained")
    titles = {
        "stage2_conv": "stage2_conv with ReLU: 64 maps of 4x4",
        "stage2_pool": "stage2_pool: 64 maps of 2x2 = 256 numbers",
    }
    for axes, (name, title) in zip(panels, titles.items(), strict=True):
        maps = example.outputs[name]
        side = maps.shape[0]
        sheet = np.full((4 * (side + 1) + 1, 16 * (side + 1) + 1), np.nan)
        for channel in range(64):
            row, column = 1 + channel // 16 * (side + 1), 1 + channel % 16 * (side + 1)
            sheet[row : row + side, column : column + side] = maps[..., channel]
        colours = mpl.colormaps[INK].with_extremes(bad="white")
        axes.imshow(sheet, cmap=colours, vmin=0, vmax=float(maps.max()) * 0.8, interpolation="nearest")
        axes.set_title(title)
        axes.axis("off")
    return figure


def draw_dense(network: keras.Model, example: Example) -> Figure:
    """The hidden layer's units, how each speaks for the label, and the ten sums."""
    hidden, logits = example.outputs["hidden"], example.outputs["logits"]
    weights, bias = (variable.numpy() for variable in network.get_layer("logits").weights)  # [1024, 10], [10]
    assert np.allclose(hidden @ weights + bias, logits, atol=1e-4)
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 2.9), width_ratios=(1.5, 1.5, 1), layout="constrained")
    units = hidden.reshape(16, 64)
    axes[0].imshow(units, cmap=INK, vmin=0, vmax=float(hidden.max()) * 0.6, aspect="auto")
    axes[0].set(title=f"hidden: {(hidden > 0).sum()} of 1,024 units are not 0", xticks=[], yticks=[])
    shares = (hidden * weights[:, example.label]).reshape(16, 64)
    limit = float(np.abs(shares).max()) * 0.6
    axes[1].imshow(shares, cmap=SIGNED, vmin=-limit, vmax=limit, aspect="auto")
    axes[1].set(title=f"unit x its weight for class {example.label}:\nsum + bias = {logits[example.label]:.2f}")
    axes[1].set(xticks=[], yticks=[])
    _bars(axes[2], logits, "logits", example.label)
    return figure


def draw_cross_entropy(easy: Example, hard: Example) -> Figure:
    """Digit, logits, probabilities, and the loss's gradient, for a digit the network is sure of and one it is not."""
    figure, axes = plt.subplots(2, 4, figsize=(9.6, 4.6), width_ratios=(0.8, 1, 1, 1), layout="constrained")
    for row, example in zip(axes, (easy, hard), strict=True):
        probabilities, loss, gradient = _loss(example)
        _image(row[0], example.pixels[..., 0], f"label {example.label}", INK, 0, 255)
        _bars(row[1], example.outputs["logits"], "logits z", example.label)
        _bars(row[2], probabilities, "probabilities p", example.label)
        row[2].set_ylim(0, 1.05)
        _bars(row[3], gradient, f"loss {loss:.3f}; gradient p - y", example.label)
        row[3].set_ylim(-1.05, 1.05)
        print(f"cross_entropy: label {example.label}, p {probabilities[example.label]:.4f}, loss {loss:.4f}")
        print(f"  probabilities {np.round(probabilities, 3)}")
        print(f"  logits {np.round(example.outputs['logits'], 2)}")
    return figure


def draw_optimizer(network: keras.Model, folder: RunFolder, example: Example) -> Figure:
    """One step of SGD on one digit: a kernel, its gradient, its change, the answer before and after; then a whole run."""
    kernel = network.get_layer("stage1_conv").kernel
    before_kernel, variables = kernel.numpy(), network.trainable_variables
    optimizer = optimizers.build(SGDSettings(momentum=0.0), variables)
    values = [variable.value for variable in variables]
    gradients, before, loss_before = _gradients(network, example)
    rate, standing = tf.constant(STEP_RATE), [(tf.zeros_like(value),) for value in values]
    moved, _ = optimizer.update(values, gradients, standing, rate, tf.constant(1))
    for variable, value in zip(variables, moved, strict=True):
        variable.assign(value)
    _, after, loss_after = _gradients(network, example)
    print(f"optimizer: p {before[example.label]:.3f} -> {after[example.label]:.3f}")
    print(f"optimizer: loss {loss_before:.3f} -> {loss_after:.3f}")
    kernel_gradient = next(g for g, v in zip(gradients, variables, strict=True) if v is kernel).numpy()
    channel = int(np.abs(kernel_gradient).sum(axis=(0, 1, 2)).argmax())
    pick = np.s_[:, :, 0, channel]
    assert np.allclose(kernel.numpy()[pick], before_kernel[pick] - STEP_RATE * kernel_gradient[pick], atol=1e-6)
    figure = plt.figure(figsize=(9.6, 5), layout="constrained")
    grid = figure.add_gridspec(2, 6)
    for column, (values, title) in enumerate(
        (
            (before_kernel[pick], "a kernel's weights w"),
            (kernel_gradient[pick], "gradient g of the loss"),
            (kernel.numpy()[pick], f"w - {STEP_RATE} g"),
        )
    ):
        limit = float(np.abs(values).max())
        axes = figure.add_subplot(grid[0, 2 * column : 2 * column + 2])
        _image(axes, values, title, SIGNED, -limit, limit, "{:.3f}")
    for column, (values, loss, title) in enumerate(((before, loss_before, "before"), (after, loss_after, "after"))):
        axes = figure.add_subplot(grid[1, 2 * column : 2 * column + 2])
        _bars(axes, values, f"{title} the step: loss {loss:.3f}", example.label)
        axes.set_ylim(0, 1.05)
    _draw_history(figure.add_subplot(grid[1, 4:]), folder)
    return figure


def _draw_history(axes: Axes, folder: RunFolder) -> None:
    rows = folder.history
    steps = [int(row["step"]) for row in rows]
    axes.plot(steps, [float(row["loss"]) for row in rows], label="training", color="#4a90d9")
    axes.plot(steps, [float(row["validation_loss"]) for row in rows], label="held out", color=HIGHLIGHT)
    axes.set(title=f"loss over {steps[-1]} steps", yscale="log", xlabel="step")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def _choose(network: keras.Model, folder: RunFolder, source: Source) -> tuple[Example, Example]:
    """The first held-out digit of class SHOWN_DIGIT, and the one whose label the network finds least probable."""
    pixels = np.stack([source.read(tf.constant(index, tf.int64)).numpy() for index in range(len(source))])
    x = normalise(pixels, folder.preset)
    names = ("stage1_conv", "stage1_pool", "stage2_conv", "stage2_pool", "hidden", "logits")
    tapped = keras.Model(network.input, {name: network.get_layer(name).output for name in names})
    outputs = {name: values.numpy() for name, values in tapped(x, training=False).items()}
    targets = objectives.smooth(tf.constant(source.labels), 10, 0.0)
    loss = objectives.cross_entropy(targets, tf.constant(outputs["logits"])).numpy()
    print(f"held out: {len(source)} digits, mean loss {loss.mean():.4f}")

    def example(index: int) -> Example:
        own = {name: values[index] for name, values in outputs.items()}
        return Example(pixels[index], int(source.labels[index]), x[index][None], own)

    return example(int(np.flatnonzero(source.labels == SHOWN_DIGIT)[0])), example(int(loss.argmax()))


def _first_convolution(network: keras.Model, example: Example) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kernel [3, 3, 1, 32] and bias [32] of the first convolution, and its result [8, 8, 32] before ReLU."""
    kernel, bias = (variable.numpy() for variable in network.get_layer("stage1_conv").weights)
    return kernel, bias, (tf.nn.conv2d(example.x, kernel, 1, "SAME") + bias)[0].numpy()


def _clearest(before: np.ndarray, kernel: np.ndarray) -> int:
    """The filter that tells light from dark best: of large response, with weights of both signs in balance."""
    balance = 1 - np.abs(kernel.sum(axis=(0, 1, 2))) / np.abs(kernel).sum(axis=(0, 1, 2))
    return int((before[1:-1, 1:-1].std(axis=(0, 1)) * balance).argmax())


def _loss(example: Example) -> tuple[np.ndarray, float, np.ndarray]:
    """Probabilities [10], the loss in nats, and its gradient with respect to the logits [10]."""
    logits = tf.constant(example.outputs["logits"])[None]
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = objectives.cross_entropy(objectives.smooth(tf.constant([example.label]), 10, 0.0), logits)
    gradient = tape.gradient(loss, logits)[0].numpy()
    return tf.nn.softmax(logits)[0].numpy(), float(loss[0]), gradient


def _gradients(network: keras.Model, example: Example) -> tuple[list[tf.Tensor], np.ndarray, float]:
    """Gradients of the loss with respect to every weight, probabilities [10], and the loss in nats."""
    with tf.GradientTape() as tape:
        logits = network(example.x, training=False)
        loss = objectives.cross_entropy(objectives.smooth(tf.constant([example.label]), 10, 0.0), logits)
    gradients = tape.gradient(loss, [variable.value for variable in network.trainable_variables])
    return gradients, tf.nn.softmax(logits)[0].numpy(), float(loss[0])


def _image(
    axes: Axes, values: np.ndarray, title: str, colours: str, low: float, high: float, numbers: str | None = None
) -> None:
    """An array [h, w] as squares, with their values where `numbers` says how to write them."""
    axes.imshow(values, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
    axes.set(title=title, xticks=[], yticks=[])
    if numbers is None:
        return
    size = 7 if values.shape[0] > 4 else 8.5
    for (row, column), value in np.ndenumerate(values):
        red, green, blue, _ = mpl.colormaps[colours]((value - low) / (high - low))
        dark = 0.3 * red + 0.6 * green + 0.1 * blue < 0.5
        text = re.sub(r"^-(0\.?0*)$", r"\1", numbers.format(value))
        axes.text(column, row, text, ha="center", va="center", fontsize=size, color="white" if dark else "black")


def _bars(axes: Axes, values: np.ndarray, title: str, label: int) -> None:
    """One bar a class, the label's in another colour."""
    axes.bar(range(10), values, color=[HIGHLIGHT if index == label else "#9db4c8" for index in range(10)])
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set(title=title, xticks=range(10))
    axes.spines[["top", "right"]].set_visible(False)


def _save(figure: Figure, path: Path) -> None:
    """A small PNG: few colours are enough for a drawing."""
    figure.savefig(path, dpi=100, bbox_inches="tight", pad_inches=0.08)
    plt.close(figure)
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(COLORS)
    small.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.1f} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])

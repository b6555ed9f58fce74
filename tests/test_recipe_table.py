"""`keras-imagenet recipes`: the list, and what a recipe means for so many examples, without data."""

import json

import pytest

ABOUT = """
about:
  source: "somebody/things@0123abc: train.py"
  published: {top1: 71.5, of: raw weights}
  differs: [Images are read otherwise.]
"""


def shown(command, *words: object) -> object:
    done = command("recipes", *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_list_holds_every_recipe_by_name(command) -> None:
    names = [row["name"] for row in shown(command)]
    assert names == sorted(names)
    assert {"digits/simple_cnn", "imagenet/torchvision/resnet50-v1"} <= set(names)
    assert [row["name"] for row in shown(command, "digits/*")] == ["digits/simple_cnn"]


def test_a_pattern_that_fits_none_names_the_nearest(command) -> None:
    done = command("recipes", "digits/simple_cn")
    assert done.returncode == 0  # a part of a name
    done = command("recipes", "digts/simple_cnn")
    assert done.returncode == 2
    assert "did you mean digits/simple_cnn?" in done.stderr


def test_a_recipe_says_its_steps_and_rates_without_data(command) -> None:
    content = shown(command, "imagenet/torchvision/resnet50-v1", "--examples", 1_281_167)
    assert content["batch_size"] == 256
    assert content["steps_per_epoch"] == pytest.approx(1_281_167 / 256)
    rates = dict(content["learning_rate"])
    last = content["steps"] - 1
    assert (rates[0], rates[last]) == (0.1, pytest.approx(0.001))
    assert last == -(-1_281_167 * 90 // 256) - 1
    assert len(rates) == 2 * 90


def test_a_recipe_that_makes_no_step_of_few_photos_says_so(command, tmp_path) -> None:
    """photos/transfer solves the head below 100 photos, and trains nothing."""
    content = shown(command, "photos/transfer", "--examples", 57)
    assert (content["epochs"], content["steps"], content["learning_rate"]) == (0, 0, [])
    said = command("recipes", "photos/transfer", "--examples", 57).stdout
    assert "0 epochs of batches of 8" in said
    assert "with 57 examples: no step; the head that is solved is all that is learned" in said
    assert "learning rate" not in said
    refused = command("recipes", "photos/transfer", "--examples", 57, "--output", tmp_path / "curve.png")
    assert refused.returncode == 2
    assert "photos/transfer makes no step, so it has no learning rate" in refused.stderr


@pytest.mark.parametrize("words", [("--examples", 5), ("--weights",), ("--output", "a.png")])
def test_what_is_said_of_one_recipe_is_refused_of_a_list(command, words) -> None:
    refused = command("recipes", "digits/*", *words)
    assert refused.returncode == 2
    assert f"{words[0]}: is said of one recipe" in refused.stderr


def test_a_picture_needs_a_number_of_examples(command, tmp_path) -> None:
    file = tmp_path / "curve.png"
    refused = command("recipes", "imagenet/torchvision/resnet50-v1", "--output", file)
    assert refused.returncode == 2
    assert "--examples" in refused.stderr
    drawn = command("recipes", "imagenet/torchvision/resnet50-v1", "--output", file, "--examples", 1000)
    assert drawn.returncode == 0, drawn.stderr
    assert file.read_bytes()[:4] == b"\x89PNG"


def test_about_is_no_setting_and_is_checked(command, tmp_path) -> None:
    """What a recipe says of itself has no part in a run, so that a run does not claim another's result."""
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(ABOUT + "train: {epochs: 1}\n")
    run = tmp_path / "run"
    done = command("fit", "--config", recipe, "--runtime.run_folder", run, "--dry_run")
    assert done.returncode == 0, done.stderr
    recipe.write_text(ABOUT.replace("top1", "top_1"))
    refused = command("fit", "--config", recipe, "--dry_run")
    assert refused.returncode == 2
    assert f"{recipe}: about.published.top1: field required" in refused.stderr


def test_a_recipe_says_what_its_decay_acts_on(command) -> None:
    """torchvision's second ResNet-50 spares norms and decays the head's bias."""
    done = command("recipes", "imagenet/torchvision/resnet50-v2", "--weights", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["weights"]
    decays = {row["kind"]: row["decay"] for row in rows}
    assert decays == {"kernels": 2e-5, "norms": 0, "biases": 2e-5}
    assert sum(row["values"] for row in rows) == 25_557_032

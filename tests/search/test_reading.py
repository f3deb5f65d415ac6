"""A task's data and the weights it needs; a conf that does not fit its data is refused before anything starts."""

from pathlib import Path

import pytest
from conf_document import message_of

from search import conf
from search.reading import read, read_weights, root_of, weights_of, weights_of_space


@pytest.mark.parametrize(
    ("models", "more", "says"),
    [
        ("{cnn: {}}", "", "model cnn takes pictures; dataset spiral has examples of shape (2,)"),
        ("{mlp: {shift: 0.1}}", "", "shift changes pictures"),
        ("{mlp: {}}", "space: {affine: {low: 0, high: 1}}", "affine changes pictures"),
        ("{mlp: {}}", "space: {erase: {choice: [0.0, 0.1]}}", "erase changes pictures"),
        ("{mlp: {}}", "references: [{name: r, config: {model: cnn}}]", "model cnn takes pictures"),
        ("{mlp: {}}", "references: [{name: r, config: {model: mlp, shift: 0.1}}]", "shift changes pictures"),
        ("{mlp: {flip: true}}", "", "flip changes pictures"),
        ("{mlp: {}}", "space: {crop: {low: 0, high: 0.5}}", "crop changes pictures"),
        ("{mlp: {normalise: imagenet}}", "", "normalise imagenet takes pictures; dataset spiral has examples of shape"),
        ("{mlp: {}}", "space: {normalise: {choice: [none, imagenet]}}", "normalise imagenet takes pictures"),
        ("{mlp: {}}", "references: [{name: r, config: {model: mlp, normalise: imagenet}}]", "imagenet takes pictures"),
        ("{mlp: {}}", "space: {shift: 0.0, flip: false, normalise: {choice: [none, standard]}}", None),
    ],
)
def test_points_are_no_pictures(tmp_path: Path, models: str, more: str, says: str | None) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"dataset: spiral\nepochs: 3\nmodels: {models}\n{more}\n")
    task = conf.load(str(file), {}, [])
    if says is None:
        assert read(task, tmp_path).input_shape == (2,)
    else:
        assert says in message_of(read, task, tmp_path)


HEAD = "dataset: spiral\nepochs: 3\n"


@pytest.mark.parametrize(
    ("given", "said", "environment", "root"),
    [
        ("here", "there", "/env", "here"),
        (None, "there", "/env", "{conf}/there"),
        (None, "/abs", "/env", "/abs"),
        (None, "~/own", "/env", "/home/me/own"),
        (None, None, "/env", "/env"),
        (None, None, None, "data"),
    ],
)
def test_the_data_root_is_the_commands_the_confs_the_environments_or_data(
    tmp_path, monkeypatch, given, said, environment, root
):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("DATA_ROOT", raising=False)
    if environment:
        monkeypatch.setenv("DATA_ROOT", environment)
    file = tmp_path / "mine.yaml"
    entry = f"{{name: spiral, root: {said}}}" if said else "spiral"
    file.write_text(f"dataset: {entry}\nepochs: 3\nmodels: {{mlp: }}\n")
    task = conf.load(str(file), {}, [])
    assert root_of(task, given and Path(given)) == Path(root.format(conf=tmp_path))
    assert task.dataset_settings == {}


SCRATCH = "or train from scratch: --set "


@pytest.mark.parametrize(
    ("models", "space", "wanted"),
    [
        ("{cnn: }", "", {}),
        ("{resnet18: }", "", {"resnet18 imagenet": f"{SCRATCH}resnet18.weights=none"}),
        (
            "{a: {model: resnet18, weights: none}, b: {model: resnet18}}",
            "",
            {"resnet18 imagenet": f"{SCRATCH}b.weights=none"},
        ),
        (
            "{a: {model: resnet18}, b: {model: resnet18, weights: {choice: [none, imagenet]}}}",
            "",
            {"resnet18 imagenet": f"{SCRATCH}a.weights=none --set b.weights=none"},
        ),
        ("{a: {model: resnet18}}", "space: {weights: none}", {}),
    ],
)
def test_weights_are_wanted_where_a_proposed_model_may_begin_from_them(tmp_path, models, space, wanted):
    file = tmp_path / "mine.yaml"
    file.write_text(f"{HEAD}models: {models}\n{space}\n")
    assert weights_of_space(conf.load(str(file), {}, [])) == wanted


def test_weights_of_configurations_are_wanted_too():
    configs = [
        {"model": "cnn"},
        {"model": "x", "x.model": "resnet18"},
        {"model": "resnet18", "resnet18.weights": "none"},
    ]
    assert set(weights_of(configs)) == {"resnet18 imagenet"}


def test_absent_weights_are_one_line_with_where_to_put_them_and_how_to_do_without(tmp_path, monkeypatch):
    from trainables.models import resnet18

    source = resnet18.Source("weights.pth", "00", ("http://127.0.0.1:9/weights.pth",), "sha256")
    monkeypatch.setitem(resnet18.PRETRAINED, "imagenet", source)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    task = conf.load("wildlife", {}, [])
    message = message_of(read_weights, task, tmp_path, weights_of_space(task))
    assert f"put it at {tmp_path}/resnet18/weights.pth, from http" in message
    assert message.endswith(f"; {SCRATCH}resnet.weights=none --set resnet_augmented.weights=none")

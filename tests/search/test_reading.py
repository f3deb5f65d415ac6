"""A conf that does not fit its data is refused before anything starts."""

from pathlib import Path

import pytest
from conf_document import message_of

from search import conf
from search.reading import read


@pytest.mark.parametrize(
    ("models", "more", "says"),
    [
        ("{cnn: {}}", "", "model cnn takes pictures; dataset spiral has examples of shape (2,)"),
        ("{mlp: {shift: 0.1}}", "", "shift changes pictures"),
        ("{mlp: {}}", "space: {affine: {low: 0, high: 1}}", "affine changes pictures"),
        ("{mlp: {}}", "space: {erase: {choice: [0.0, 0.1]}}", "erase changes pictures"),
        ("{mlp: {}}", "references: [{name: r, config: {model: cnn}}]", "model cnn takes pictures"),
        ("{mlp: {}}", "references: [{name: r, config: {model: mlp, shift: 0.1}}]", "shift changes pictures"),
        ("{mlp: {}}", "space: {shift: 0.0}", None),
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

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.errors import UserError
from datasets.unlabelled import Form, read

GREY = Form((1, 4, 4), "float32")
COLOUR = Form((3, 4, 4), "uint8")
POINTS = Form((2,), "float32")


def inputs(path: Path, form: Form) -> np.ndarray:
    return np.concatenate([part.inputs for part in read(path, form)])


def array(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def test_a_grey_picture_is_read_exactly_and_scaled(tmp_path):
    pixels = np.arange(16, dtype=np.uint8).reshape(4, 4) * 16
    Image.fromarray(pixels).save(tmp_path / "a.png")
    (part,) = read(tmp_path / "a.png", GREY)
    assert (part.inputs.dtype, part.places) == (np.float32, [])
    np.testing.assert_array_equal(part.inputs, pixels[None, None].astype(np.float32) / 255)
    np.testing.assert_array_equal(inputs(tmp_path / "a.png", COLOUR), np.stack([pixels] * 3)[None])


def test_a_picture_in_colour_is_made_grey_and_the_size_that_the_model_takes(tmp_path):
    Image.new("RGB", (40, 20), (255, 0, 0)).save(tmp_path / "red.png")
    np.testing.assert_array_equal(inputs(tmp_path / "red.png", Form((1, 4, 4), "uint8")), np.full((1, 1, 4, 4), 76))
    padded = inputs(tmp_path / "red.png", Form((3, 4, 4), "uint8", "pad"))
    assert padded[0, 0].tolist() == [[0] * 4, [255] * 4, [255] * 4, [0] * 4]


def test_points_with_a_header_and_without(tmp_path):
    for text, lines in (("x,y\n1,2\n\n3,4\n", [2, 4]), ("1 2\n3 4", [1, 2])):
        (tmp_path / "a.csv").write_text(text)
        (part,) = read(tmp_path / "a.csv", POINTS)
        assert part.places == lines
        assert (part.inputs.dtype, part.inputs.tolist()) == (np.float32, [[1, 2], [3, 4]])
    (tmp_path / "a.csv").write_text("7\n8\n")
    assert inputs(tmp_path / "a.csv", Form((1,), "float32")).tolist() == [[7], [8]]


def test_arrays_of_one_example_and_of_many(tmp_path):
    values = np.random.default_rng(0).random((2500, 2))
    (tmp_path / "a.npy").write_bytes(array(values))
    parts = list(read(tmp_path / "a.npy", POINTS))
    assert [place for part in parts for place in part.places] == list(range(2500))
    np.testing.assert_array_equal(np.concatenate([part.inputs for part in parts]), values.astype(np.float32))
    (tmp_path / "a.npy").write_bytes(array(values[0]))
    (part,) = read(tmp_path / "a.npy", POINTS)
    assert (part.inputs.shape, part.places) == ((1, 2), [])


@pytest.mark.parametrize(
    ("name", "content", "form", "says"),
    [
        ("a.png", b"text", GREY, "not a picture that Pillow opens"),
        ("a.png", b"text", Form((2, 4, 4), "uint8"), "the model takes 2×4×4, no square pictures; give arrays"),
        ("a.png", b"\x89PNG", POINTS, "the byte 0x89 is not UTF-8"),
        ("a.csv", b"", POINTS, "the file is empty"),
        ("a.csv", b"1,2,a\n", POINTS, "line 1: 3 columns, where the model takes 2 numbers and no label"),
        ("a.csv", b"1,2\n1,x\n", POINTS, "line 2: 'x' is not a finite 32-bit number"),
        ("a.csv", b"1,2\n1,inf\n", POINTS, "line 2: 'inf' is not"),
        ("a.csv", b"1,1e39\n", POINTS, "line 1: '1e39' is not"),
        ("a.npy", b"text", POINTS, "not an array as numpy.save writes it"),
        ("a.npy", array(np.array([{}])), POINTS, "not an array as numpy.save writes it"),
        ("a.npy", array(np.zeros((5, 3))), POINTS, "an array of 5×3; the model takes n×2"),
        ("a.npy", array(np.zeros((5, 2), int)), POINTS, "an array of int64; the model takes float32"),
        ("a.npy", array(np.zeros(COLOUR.shape)), COLOUR, "float64; the model takes whole numbers of 0 to 255"),
        ("a.npy", array(np.full(COLOUR.shape, 256)), COLOUR, "numbers of 256 to 256; the model takes 0 to 255"),
        ("a.npy", array(np.full((1, 2), np.nan)), POINTS, "not all of its numbers are finite"),
    ],
)
def test_what_a_file_should_not_be(name, content, form, says, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        list(read(tmp_path / name, form))
    assert str(error.value).startswith(str(tmp_path / name))
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_cannot_be_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, says in (("none.png", "No such file"), ("pipe", "is a pipe"), (".", "Is a directory")):
        with pytest.raises(UserError, match=says):
            list(read(tmp_path / name, GREY))

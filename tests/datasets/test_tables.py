import csv
import io
import string

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datasets import points
from datasets.errors import UserError
from datasets.tables import cells_of

FREELY = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def lines(root, content: str | bytes, **keywords) -> list[tuple[int, list[str]]]:
    (root / "a.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    return cells_of("name", root, "train", "a.csv", keywords.pop("delimiter", None), **keywords)[1]


@pytest.mark.parametrize(
    ("content", "cells"),
    [
        ('"a,b;c",d\n', ["a,b;c", "d"]),
        ('"a b"\t"c,d"\n', ["a b", "c,d"]),
        ('"a;b" c\n', ['"a;b"', "c"]),
        ('5" disk;a,b\n', ['5" disk', "a,b"]),
        (" a , b \n", ["a", "b"]),
        ("a b\tc\n", ["a b", "c"]),
        ('"a ""b"" c",d\n', ['a "b" c', "d"]),
    ],
)
def test_the_delimiter_is_found_outside_of_quotes(tmp_path, content, cells):
    assert lines(tmp_path, content) == [(1, cells)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_cells_of_several_lines_are_whole_and_lines_are_counted(tmp_path, end):
    content = f'{end}"a{end}b",c{end}{end}  {end}d,"{end}e"{end}f,g{end}'
    assert lines(tmp_path, content, delimiter=",") == [(2, ["a\nb", "c"]), (6, ["d", "e"]), (8, ["f", "g"])]


@pytest.mark.parametrize("mark", [b"", "\ufeff".encode()], ids=["plain", "marked"])
def test_the_byte_that_is_not_utf_8_is_named(tmp_path, mark):
    with pytest.raises(UserError, match=r"a\.csv: line 2: the byte 0xe9 is not UTF-8, as which tables are read$"):
        lines(tmp_path, mark + b"a,b\nn\xe9e,c\nd,e\n")


def test_a_link_that_leads_to_itself_is_named(tmp_path):
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    with pytest.raises(UserError, match=f"^dataset points: train: {tmp_path}/loop.csv cannot be read: "):
        points.load(tmp_path, train="loop.csv")


CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\ufeff")
LINE = st.text(st.one_of(st.sampled_from(" \t,;\"'#é猫"), CHARACTERS), max_size=5)
CELL = st.one_of(LINE, st.lists(LINE.filter(str.strip), min_size=2, max_size=3).map("\n".join))
ENDS = st.sampled_from(["\n", "\r\n", "\r"])
MARK = st.sampled_from(["", "\ufeff"])


@settings(FREELY, max_examples=150)
@given(data=st.data(), delimiter=st.sampled_from([";", "\t", ","]), end=ENDS, mark=MARK)
def test_what_is_written_is_read_back(tmp_path, data, delimiter, end, mark):
    width = data.draw(st.integers(2, 4))
    row = st.lists(CELL, min_size=width, max_size=width).filter(lambda cells: any(map(str.strip, cells)))
    table = data.draw(st.lists(row, min_size=1, max_size=5))
    quoting = data.draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerows([cell.replace("\n", end) for cell in cells] for cells in table)
    found = lines(tmp_path, mark + file.getvalue(), delimiter=delimiter)
    assert [cells for _, cells in found] == [[cell.strip() for cell in cells] for cells in table]
    starts = [0, *np.cumsum([1 + sum(cell.count("\n") for cell in cells) for cells in table])]
    assert [number for number, _ in found] == [start + 1 for start in starts[:-1]]


NUMBERS = st.floats(-1e6, 1e6, width=32)


@settings(FREELY, max_examples=60)
@given(
    features=st.lists(st.tuples(NUMBERS, NUMBERS), min_size=10, max_size=20, unique=True),
    delimiter=st.sampled_from([";", "\t", ",", " "]),
    end=ENDS,
    mark=MARK,
    header=st.booleans(),
    labels=st.lists(st.text(string.ascii_letters + "éя", min_size=1, max_size=5), min_size=2, max_size=2, unique=True),
)
def test_points_that_are_written_are_read_back(tmp_path, features, delimiter, end, mark, header, labels):
    labels = [f"label {label}" if delimiter != " " else f"label{label}" for label in labels]
    table = [(repr(x), repr(y), labels[number % 2]) for number, (x, y) in enumerate(features)]
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, lineterminator=end).writerows([("x", "y", "kind")] * header + table)
    (tmp_path / "a.csv").write_bytes((mark + file.getvalue()).encode())
    dataset = points.load(tmp_path, train="a.csv", test_share=0.3, val=0.3)
    sides = (dataset.development, dataset.test)
    found = {
        (*x.tolist(), dataset.classes[y]) for side in sides for x, y in zip(side.inputs, side.targets, strict=True)
    }
    assert found == {(*np.float32(pair).tolist(), labels[n % 2]) for n, pair in enumerate(features)}


TABLE = st.text(st.sampled_from("0123456789.,;\t \"'\n\r-+einfa_é\0\ufeff"), max_size=80).map(str.encode)


@settings(FREELY, max_examples=300)
@given(content=st.one_of(st.binary(max_size=80), TABLE), delimiter=st.sampled_from([None, ";", "\t", ",", " "]))
def test_any_bytes_are_a_table_or_refused_in_one_line(tmp_path, content, delimiter):
    (tmp_path / "a.csv").write_bytes(content)
    try:
        dataset, line = points.load(tmp_path, train="a.csv", delimiter=delimiter), f"{tmp_path}/a.csv"
    except UserError as error:
        dataset, line = None, str(error)
    assert (f"{tmp_path}/a.csv" in line, "\n" in line) == (True, False)
    assert dataset is None or np.isfinite(dataset.development.inputs).all()

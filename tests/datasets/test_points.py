import numpy as np
import pytest

import datasets
from datasets import points
from datasets.errors import UserError


def rows(count: int, form: str = "{n},{half},{label}", labels: str = "ab") -> str:
    return "".join(form.format(n=n, half=n / 2, label=labels[n % len(labels)]) + "\n" for n in range(count))


def write(root, content: str | bytes, name: str = "a.csv") -> None:
    (root / name).write_bytes(content.encode() if isinstance(content, str) else content)


def everything(dataset) -> np.ndarray:
    """All rows, (rows, features + 1) with the target last, by the first feature."""
    sides = [dataset.development, dataset.test]
    table = np.concatenate([np.c_[side.inputs, side.targets] for side in sides])
    return table[np.argsort(table[:, 0])]


FORMS = {
    "commas": (rows(20), {}),
    "semicolons": (rows(20, "{n}; {half} ;{label}"), {}),
    "tabs": (rows(20, "{n}\t{half}\t{label}"), {}),
    "white space": (rows(20, "  {n} \t {half}   {label} "), {"delimiter": " "}),
    "white space found": (rows(20, "  {n}   {half} {label}"), {}),
    "quoted": (rows(20, '"{n}","{half}","{label}"'), {}),
    "label with commas": (rows(20, "{n}\t{half}\t{label},"), {"classes": ("a,", "b,")}),
    "header": ("x,y,kind\n" + rows(20), {}),
    "header said": ("1,2,kind\n" + rows(20), {"header": True}),
    "no header said": (rows(20), {"header": False}),
    "label by name": ("x,y,kind\n" + rows(20), {"label": "kind"}),
    "label in the middle": (rows(20, "{n},{label},{half}"), {"label": 1}),
    "label in the middle, from the end": (rows(20, "{n},{label},{half}"), {"label": -2}),
    "label in the middle, by name": ("n,kind,half\n" + rows(20, "{n},{label},{half}"), {"label": "kind"}),
    "byte order mark, blank lines, other line ends": (
        "\ufeff\r\nx,y,kind\r\n\r\n" + rows(20).replace("\n", "\r\n"),
        {},
    ),
    "no last line end": (rows(20).rstrip(), {}),
    "numbers for labels": (rows(20, labels="01"), {"classes": ("0", "1")}),
    "equal numbers": (rows(20, labels="15").replace("7,3.5,5", "7,3.5,5.0"), {"classes": ("1", "5")}),
    "text and numbers": (rows(20, labels="1b"), {"classes": ("1", "b")}),
    "exponents": (rows(20, "{n}e0,+{half},{label}"), {}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_points(tmp_path, form):
    content, settings = FORMS[form]
    classes = settings.get("classes", ("a", "b"))
    write(tmp_path, content)
    keywords = {name: value for name, value in settings.items() if name != "classes"}
    dataset = datasets.load("points", tmp_path, {"train": "a.csv", **keywords})
    assert dataset.classes == classes
    assert dataset.development.inputs.dtype == np.float32
    assert dataset.input_shape == (2,)
    assert (len(dataset.development), len(dataset.test)) == (16, 4)
    assert dataset.origin == f"{tmp_path}/a.csv, of which 4 examples are for testing"
    n = np.arange(20)
    np.testing.assert_array_equal(everything(dataset), np.c_[n, n / 2, n % 2])


def test_numbers_are_sorted_as_numbers_and_text_as_text(tmp_path):
    for labels, classes in ([("10", "9", "-1"), ("-1", "9", "10")], [("10", "9", "x"), ("10", "9", "x")]):
        write(tmp_path, "".join(f"{n},{labels[n % 3]}\n" for n in range(30)))
        dataset = points.load(tmp_path, train="a.csv")
        assert dataset.classes == classes
        first = dataset.development.inputs[dataset.development.targets == classes.index(labels[1]), 0]
        assert set(first % 3) == {1}


def test_two_files_are_development_and_test(tmp_path):
    write(tmp_path, rows(20))
    (tmp_path / "more").mkdir()
    write(tmp_path, "x;y;kind\n5;6;b\n", "more/test.txt")
    dataset = points.load(tmp_path, train="a.csv", test="more/test.txt", folds=4)
    assert (len(dataset.development), dataset.test.inputs.tolist(), dataset.test.targets) == (20, [[5, 6]], [1])
    assert len(dataset.folds) == 4
    assert dataset.origin == f"{tmp_path}/a.csv, {tmp_path}/more/test.txt"


def test_splits_are_stratified_disjoint_and_follow_the_seed(tmp_path):
    write(tmp_path, rows(100, labels="aaab"))
    held, other, folded = (points.load(tmp_path, train="a.csv", **k) for k in ({}, {"seed": 1}, {"folds": 5}))
    assert np.bincount(held.test.targets).tolist() == [15, 5]
    assert np.bincount(held.development.targets[held.folds[0].val]).tolist() == [15, 5]
    np.testing.assert_array_equal(everything(held)[:, 0], np.arange(100))
    np.testing.assert_array_equal(folded.test.inputs, held.test.inputs)
    for fold in (*held.folds, *folded.folds):
        np.testing.assert_array_equal(np.sort(np.r_[fold.train, fold.val]), np.arange(80))
    np.testing.assert_array_equal(np.sort(np.concatenate([fold.val for fold in folded.folds])), np.arange(80))
    assert held.digest() == points.load(tmp_path, train="a.csv").digest()
    assert set(held.test.inputs[:, 0]) != set(other.test.inputs[:, 0])


def test_nothing_depends_on_the_order_of_rows(tmp_path):
    lines = rows(60).splitlines(keepends=True)
    write(tmp_path, "".join(lines))
    write(tmp_path, "".join(np.random.default_rng(0).permutation(lines)), "b.csv")
    write(tmp_path, rows(60, "{n}.25,{half},{label}"), "c.csv")
    one, other = (points.load(tmp_path, train=name) for name in ("a.csv", "b.csv"))
    assert one.digest() == other.digest()
    one, other = (points.load(tmp_path, train="c.csv", test=name) for name in ("a.csv", "b.csv"))
    assert one.digest() == other.digest()


def test_val_and_test_share_may_be_numbers_of_examples(tmp_path):
    write(tmp_path, rows(50))
    dataset = points.load(tmp_path, train="a.csv", test_share=7, val=9)
    assert (len(dataset.test), len(dataset.folds[0].train), len(dataset.folds[0].val)) == (7, 34, 9)


GOOD = rows(20)
NEEDED = "two are needed at least"
HINT = "; if this line is a header, say header: true"
SIDES = " examples do not reach both sides"
WRONG = {
    "empty": ("", {}, "the file is empty; a table is expected"),
    "blank": ("\n  \n\ufeff".encode(), {}, f"line 3: one column, separated by white space; {NEEDED}"),
    "only a header": ("x,y,kind\n", {}, "line 1: a header and nothing after it"),
    "one column": ("1\n2\n", {}, f"line 1: one column, separated by white space; {NEEDED}"),
    "another delimiter": (GOOD, {"delimiter": ";"}, f"line 1: one column, separated by a semicolon; {NEEDED}"),
    "ragged": (GOOD + "\n20,a\n", {}, "line 22: 2 columns, separated by a comma, where line 1 has 3"),
    "ragged last": (GOOD + "20,1,2,a\n", {}, "line 21: 4 columns, separated by a comma, where line 1 has 3"),
    "unclosed quote": (
        GOOD + '20,"1,a\n' + GOOD,
        {},
        "line 21: its cells cannot be told apart: unexpected end of data",
    ),
    "text": ("x,y,kind\n" + GOOD + "20,one,a\n", {}, "line 22, column 2: 'one' is not a number"),
    "text after the label": ("a,1,2\nb,1,zwei\n", {"label": 0}, "line 2, column 3: 'zwei' is not a number"),
    "empty cell": (GOOD + "20,,a\n", {}, "line 21, column 2: '' is not a number"),
    "underscore": (GOOD + "20,1_0,a\n", {}, "line 21, column 2: '1_0' is not a number"),
    "decimal comma": (rows(4, "0,5;1,5;{label}"), {"header": False}, f"line 1, column 1: '0,5' is not a number{HINT}"),
    "header denied": ("x,y,kind\n" + GOOD, {"header": False}, f"line 1, column 1: 'x' is not a number{HINT}"),
    "half a header": ("0,y,kind\n" + GOOD, {}, f"line 1, column 2: 'y' is not a number{HINT}"),
    "second header": ("x,y,kind\n" + GOOD + "x,y,kind\n", {}, "line 22, column 1: 'x' is not a number"),
    "nan": (GOOD + "20,nan,a\n", {}, "line 21, column 2: 'nan' is not a finite 32-bit number"),
    "infinite": (GOOD + "-inf,2,a\n", {}, "line 21, column 1: '-inf' is not a finite 32-bit number"),
    "too large": (GOOD + "20,1e39,a\n", {}, "line 21, column 2: '1e39' is not a finite 32-bit number"),
    "no label": (GOOD + "20,1,\n", {}, "line 21, column 3: the label is missing"),
    "label nan": (rows(20, labels="01") + "20,1,NaN\n", {}, "line 21, column 3: the label is missing"),
    "no such name": ("x,y,kind\n" + GOOD, {"label": "class"}, "no column is named 'class'; there are 'x', 'y', 'kind'"),
    "two of a name": ("x,y,x\n" + GOOD, {"label": "x"}, "2 columns are named 'x'; there are 'x', 'y', 'x'"),
    "name without header": (
        GOOD,
        {"label": "kind", "header": False},
        "label 'kind' is a name, but header is false; give the column's place from 0",
    ),
    "no such place": (
        GOOD,
        {"label": 3},
        "there is no column 3 for the label; places are 0 to 2, or -3 to -1 from the end",
    ),
    "no such place from the end": (
        "x,y,kind\n" + GOOD,
        {"label": -4},
        "there is no column -4 for the label; places are 0 to 2 ('x', 'y', 'kind'), or -3 to -1 from the end",
    ),
    "Latin-1": (
        GOOD.encode() + "20,1,é\n".encode("latin-1"),
        {},
        "line 21: the byte 0xe9 is not UTF-8, as which tables are read",
    ),
    "UTF-16": (GOOD.encode("utf-16"), {}, "line 1: the byte 0xff is not UTF-8, as which tables are read"),
    "one class": (rows(20, labels="a"), {}, "every label is 'a'; two classes are needed at least"),
    "one of a class": (
        GOOD + "20,1,c\n",
        {},
        f"the class 'c' is too rare to split: with test_share 0.2 its 1 of 21{SIDES}",
    ),
    "three of a class": (
        rows(100) + "1,1,c\n" * 3,
        {"folds": 4, "test_share": 0.4},
        "the class 'c' is too rare for 4 folds: it has 2 examples to train on and validate with",
    ),
    "two of a class": (
        rows(100) + "1,1,c\n" * 2,
        {},
        f"the class 'c' is too rare to split: with test_share 0.2 its 2 of 102{SIDES}",
    ),
    "no val of a class": (
        rows(100) + "1,1,c\n" * 4,
        {"val": 0.05},
        f"the class 'c' is too rare to split: with val 5 its 3 of 83{SIDES}",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_table_is_named_with_the_place(tmp_path, case):
    content, keywords, line = WRONG[case]
    write(tmp_path, content)
    with pytest.raises(UserError) as error:
        points.load(tmp_path, train="a.csv", **keywords)
    assert str(error.value) == f"dataset points: {tmp_path}/a.csv: {line}"


@pytest.mark.parametrize(
    ("test", "line"),
    [
        ("1,2,c\n", "line 1: the label 'c' is not in {train}"),
        ("x,y,kind\n1,2,a\n\n1,2,A\n", "line 4: the label 'A' is not in {train}"),
        ("x,kind\n1,a\n", "1 feature(s), where {train} has 2"),
        ("y,x,kind\n1,2,a\n", "feature 1 is 'y', where in {train} it is 'x'"),
        ("1,x,a\n", f"line 1, column 2: 'x' is not a number{HINT}"),
    ],
)
def test_a_test_table_that_does_not_belong_to_the_train_table_is_named(tmp_path, test, line):
    write(tmp_path, "x,y,kind\n" + GOOD)
    write(tmp_path, test, "b.csv")
    with pytest.raises(UserError) as error:
        points.load(tmp_path, train="a.csv", test="b.csv")
    assert str(error.value) == f"dataset points: {tmp_path}/b.csv: {line.format(train=tmp_path / 'a.csv')}"


@pytest.mark.parametrize(
    ("keywords", "line"),
    [
        ({"train": "no.csv"}, "train: {root}/no.csv cannot be read: No such file or directory"),
        ({"train": "a.csv", "test": ""}, "test: {root} cannot be read: Is a directory"),
        ({"train": "../a.csv"}, "train '../a.csv' leads outside the data root {root}"),
        ({"train": "/elsewhere/a.csv"}, "train '/elsewhere/a.csv' leads outside the data root {root}"),
        ({"train": "link.csv"}, "train 'link.csv' leads outside the data root {root}"),
        ({"train": "a\0.csv"}, "train: {root}/a\0.csv cannot be read: embedded null byte"),
        ({"train": "a.csv", "test": "./a.csv"}, "{root}/a.csv is both train and test; leave test out to split it"),
        (
            {"train": "a.csv", "delimiter": "|"},
            "delimiter must be a semicolon or a tab or a comma or white space, not '|'",
        ),
        ({"train": "a.csv", "folds": 0}, "{root}/a.csv: folds must be 1 (a hold-out of val) or more, not 0"),
        (
            {"train": "a.csv", "test_share": 0},
            "{root}/a.csv: test_share must be a share between 0 and 1 or a number of its 20 examples, not 0",
        ),
        (
            {"train": "a.csv", "val": 1.5},
            "{root}/a.csv: val must be a share between 0 and 1 or a number of its 20 examples, not 1.5",
        ),
    ],
)
def test_wrong_settings_are_named(tmp_path, keywords, line):
    root = tmp_path / "data"
    root.mkdir()
    write(tmp_path, GOOD)
    write(root, GOOD)
    (root / "link.csv").symlink_to(tmp_path / "a.csv")
    with pytest.raises(UserError) as error:
        points.load(root, **keywords)
    assert str(error.value) == "dataset points: " + line.format(root=root)

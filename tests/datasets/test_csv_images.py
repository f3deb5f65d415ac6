import unicodedata
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from picture_files import REDS, fill, flat, pairs, pets, refusal, seen

import datasets
from datasets import csv_images

COUNTS = {"cat": 10, "dog": 20}
PAIRS = pairs(COUNTS)


def rows(form: str = "{name}/{number}.png,{name}", named: Iterable[tuple[str, int]] = PAIRS) -> str:
    return "".join(form.format(name=name, number=number) + "\n" for name, number in named)


def write(root: Path, content: str | bytes, name: str = "a.csv") -> None:
    (root / name).write_bytes(content.encode() if isinstance(content, str) else content)


def load(root: Path, **keywords):
    return csv_images.load(root, **{"train": "a.csv", "folder": "pets", "side": 4, **keywords})


FORMS = {
    "commas": ("file,label\n" + rows(), {}),
    "semicolons": ("file ; label\n" + rows("{name}/{number}.png ;  {name} "), {}),
    "tabs": ("file\tlabel\n" + rows("{name}/{number}.png\t{name}"), {}),
    "quoted": ('"file","label"\n' + rows('"{name}/{number}.png","{name}"'), {}),
    "a semicolon in the header": ('"file; below pets",label\n' + rows(), {"file": "file; below pets"}),
    "delimiter said": ("file,a;b;label\n" + rows("0;{name}/{number}.png;{name}"), {"delimiter": ";", "file": "b"}),
    "byte order mark, blank lines, other line ends": ("\ufeff\n\nfile,label\n\n" + rows() + "\n\n", {}),
    "other names": ("n,breed,id\n" + rows("{number},{name},{name}/{number}.png"), {"file": "id", "label": "breed"}),
    "by place": (rows("{number},{name},{name}/{number}.png"), {"file": 2, "label": 1}),
    "by place, from the end": (rows("{number},{name},{name}/{number}.png"), {"file": -1, "label": -2}),
    "by name and by place": ("breed,file\n" + rows("{name},{name}/{number}.png"), {"label": 0}),
    "suffix": ("file,label\n" + rows("{name}/{number},{name}"), {"suffix": ".png"}),
    "rows in another order": ("file,label\n" + rows(named=PAIRS[::-1]), {}),
    "rows that stand twice": ("file,label\n" + rows() + rows(named=PAIRS[:5]), {}),
    "paths that wind": ("file,label\n" + rows("./dog/../{name}/{number}.png,{name}"), {}),
    "no last line end": ("file,label\n" + rows().rstrip(), {}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_table_gives_the_same_dataset(tmp_path, form):
    pets(tmp_path, COUNTS | {"owl": 3})
    write(tmp_path, FORMS["commas"][0], "plain.csv")
    content, keywords = FORMS[form]
    write(tmp_path, content.replace("\n", "\r\n") if "other line ends" in form else content)
    dataset = datasets.load("csv_images", tmp_path, {"train": "a.csv", "folder": "pets", "side": 4, **keywords})
    found = seen(dataset)
    assert dataset.classes == ("cat", "dog")
    assert sorted(chain(*found.values())) == PAIRS
    assert [len(found[part]) for part in ("train", "val", "test")] == [21, 3, 6]
    assert (dataset.origin, dataset.warnings) == (f"{tmp_path}/a.csv, 30 pictures", ())
    assert dataset.digest() == load(tmp_path, train="plain.csv").digest() != load(tmp_path, seed=1, **keywords).digest()


def test_a_second_table_is_for_testing(tmp_path):
    pets(tmp_path, COUNTS)
    write(tmp_path, "file,label\n" + rows(named=PAIRS[3:]))
    write(tmp_path, "label;file\n" + rows("{name};{name}/{number}.png", PAIRS[:3]), "b.csv")
    dataset = load(tmp_path, test="b.csv", val=4)
    found = seen(dataset)
    assert (found["test"], len(found["val"])) == (PAIRS[:3], 4)
    assert sorted(found["train"] + found["val"]) == PAIRS[3:]
    folded = load(tmp_path, test="b.csv", folds=3)
    np.testing.assert_array_equal(np.sort(np.concatenate([fold.val for fold in folded.folds])), np.arange(27))


def test_numbers_are_sorted_as_numbers(tmp_path):
    pets(tmp_path, COUNTS)
    write(tmp_path, "file,label\n" + rows("{name}/{number}.png,{name}").replace(",cat", ",10").replace(",dog", ",9"))
    assert load(tmp_path).classes == ("9", "10")


def test_names_may_be_of_any_letters(tmp_path):
    composed, apart = (unicodedata.normalize(form, "Käuzchen") for form in ("NFC", "NFD"))
    names = ["Пёс", "猫 🐈", "a, b", 'c "d"', composed]
    lines = []
    for red, name in enumerate(names):
        fill(tmp_path / "pets" / name, red, range(5))
        cell = '"' + name.replace('"', '""') + '"'
        lines += [f'{cell[:-1]}/{number}.png",{cell}\n' for number in range(5)]
    write(tmp_path, "file,label\n" + "".join(lines).replace(f',"{composed}"', f',"{apart}"', 2))
    dataset = load(tmp_path, test_share=5, val=5)
    assert dataset.classes == tuple(sorted(names))
    expected = [names.index(dataset.classes[target]) for target in dataset.development.targets]
    assert dataset.development.inputs[:, 0, 0, 0].tolist() == expected


def test_files_that_are_absent_or_broken_are_left_out_and_named(tmp_path):
    pets(tmp_path, COUNTS)
    (tmp_path / "pets/dog/3.png").unlink()
    (tmp_path / "pets/dog/4.png").write_bytes(b"text")
    long = "y" * 300
    write(tmp_path, "file,label\n" + rows() + f"cat,cat\n{long}.png,dog\n")
    told = (
        "pets/cat (Is a directory); pets/dog/3.png (No such file or directory); pets/dog/4.png (not a picture that "
        "Pillow opens); and 1 more"
    )
    (warning,) = load(tmp_path, max_broken=0.125).warnings
    where = f"dataset csv_images: {tmp_path}/a.csv: "
    assert warning == f"{where}4 of 32 pictures cannot be read and are left out: {told}"
    assert refusal(csv_images, tmp_path, train="a.csv", max_broken=0.12) == (
        f"ROOT/a.csv: 4 of 32 pictures cannot be read, and max_broken is 0.12: {told}"
    )


def test_copies_in_both_tables_are_counted(tmp_path):
    pets(tmp_path, COUNTS)
    fill(tmp_path / "pets/more", REDS["dog"], [1, 2, 99])
    write(tmp_path, "file,label\n" + rows())
    write(tmp_path, "file,label\nmore/1.png,dog\nmore/2.png,dog\nmore/99.png,dog\n", "b.csv")
    (warning,) = load(tmp_path, test="b.csv").warnings
    assert warning == (
        f"dataset csv_images: {tmp_path}/a.csv: 2 of 3 test pictures are copies of training pictures, pets/more/1.png "
        "of pets/dog/1.png: errors on them look smaller than they are"
    )


GOOD = "file,label\n" + rows()
OUTSIDE = "leads outside the folder ROOT/pets"
TABLES = {
    "empty": ("", {}, "the file is empty; a table is expected"),
    "only a header": ("file,label\n", {}, "a header and nothing after it"),
    "one column": ("file\na.png\n", {}, "line 1: one column, separated by a comma; two are needed at least"),
    "white space": ("file label\n", {}, "line 1: one column, separated by a comma; two are needed at least"),
    "ragged": (GOOD + "a.png\n", {}, "line 32: 1 columns, separated by a comma, where line 1 has 2"),
    "no file": (GOOD + ",dog\n", {}, "line 32, column 1: the file is missing"),
    "no label": (GOOD + "\ncat/1.png, \n", {}, "line 33, column 2: the label is missing"),
    "no such name": (GOOD, {"file": "id"}, "no column is named 'id'; there are 'file', 'label'"),
    "no header": (rows(), {}, "no column is named 'file'; there are 'cat/0.png', 'cat'"),
    "two of a name": (
        "label,file,label\n1,2,3\n",
        {},
        "2 columns are named 'label'; there are 'label', 'file', 'label'",
    ),
    "no such place": (
        GOOD,
        {"label": 2},
        "there is no column 2 for the label; places are 0 to 1 ('file', 'label'), or -2 to -1 from the end",
    ),
    "no such place, no header": (
        rows(),
        {"file": -3, "label": 1},
        "there is no column -3 for the file; places are 0 to 1, or -2 to -1 from the end",
    ),
    "one class": (
        "file,label\n" + rows(named=PAIRS[:5]),
        {},
        "the only class is 'cat'; two classes are needed at least",
    ),
    "a header taken for a row": (
        GOOD,
        {"file": 0, "label": 1, "max_broken": 0.5},
        "the class 'label' has no picture to train on that can be read",
    ),
    "two labels": (
        GOOD + "./cat/1.png,dog\n",
        {},
        "line 32: './cat/1.png' has the label 'cat', here 'dog'; it stands in a.csv: line 3 too",
    ),
    "two labels by a link": (
        GOOD + "link.png,dog\n",
        {},
        "line 32: 'link.png' has the label 'cat', here 'dog'; it stands in a.csv: line 3 too",
    ),
    "too few": (
        GOOD + rows(named=[("owl", 0)]),
        {},
        "the class 'owl' is too rare to split: with test_share 0.2 its 1 of 31 examples do not reach both sides",
    ),
    "too few for folds": (
        GOOD,
        {"folds": 9},
        "the class 'cat' is too rare for 9 folds: it has 8 examples to train on and validate with",
    ),
    "side 0": (GOOD, {"side": 0}, "side must be from 1 to 4096 pixels, not 0"),
    "side 5000": (GOOD, {"side": 5000}, "side must be from 1 to 4096 pixels, not 5000"),
    "above the folder": (GOOD + "../../secret/0.png,dog\n", {}, f"line 32: '../../secret/0.png' {OUTSIDE}"),
    "beside the folder": (GOOD + "../petshop/1.png,dog\n", {}, f"line 32: '../petshop/1.png' {OUTSIDE}"),
    "absolute": (GOOD + "/etc/passwd,dog\n", {}, f"line 32: '/etc/passwd' {OUTSIDE}"),
    "above by the suffix": (GOOD, {"suffix": "/../../../b.png"}, f"line 2: 'cat/0.png/../../../b.png' {OUTSIDE}"),
    "a link out of the folder": (GOOD + "beside.png,dog\n", {}, f"line 32: 'beside.png' {OUTSIDE}"),
    "a link out of the data root": (GOOD + "out/0.png,dog\n", {}, f"line 32: 'out/0.png' {OUTSIDE}"),
    "no name for one": (GOOD + "a\0b.png,dog\n", {}, "line 32: 'a\\x00b.png' cannot be followed: embedded null byte"),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_wrong_table_is_named_with_the_place_and_nothing_outside_is_opened(tmp_path, opened, case):
    content, keywords, line = TABLES[case]
    root = tmp_path / "root"
    pets(root, COUNTS | {"owl": 1})
    for outside in (root / "petshop", tmp_path / "outside", tmp_path / "secret"):
        fill(outside, REDS["dog"], range(2))
    (root / "pets/link.png").symlink_to("cat/1.png")
    (root / "pets/beside.png").symlink_to(root / "petshop/0.png")
    (root / "pets/out").symlink_to(tmp_path / "outside")
    write(root, content)
    assert refusal(csv_images, root, train="a.csv", **keywords) == f"ROOT/a.csv: {line}"
    assert {path.relative_to(root).parts[0] for path in opened} <= {"a.csv", "pets", ".decoded"}


@pytest.mark.parametrize(
    ("test", "line"),
    [
        (
            "file,label\n\ncat/1.png,cat\n",
            "b.csv: line 3: 'cat/1.png' has a row for training; it stands in a.csv: line 3 too",
        ),
        ("file,label\nowl/0.png,owl\n", "a.csv: the class 'owl' of pets/owl/0.png has no pictures to train on"),
        ("file,label\nno.png,dog\n", "a.csv: none of the pictures that are for test can be read"),
        ("file,label\n", "b.csv: a header and nothing after it"),
        ("file,kind\nowl/0.png,owl\n", "b.csv: no column is named 'label'; there are 'file', 'kind'"),
    ],
)
def test_a_test_table_that_does_not_belong_to_the_train_table_is_named(tmp_path, test, line):
    pets(tmp_path, COUNTS | {"owl": 1})
    write(tmp_path, GOOD)
    write(tmp_path, test, "b.csv")
    assert refusal(csv_images, tmp_path, train="a.csv", test="b.csv", max_broken=0.1) == f"ROOT/{line}"


@pytest.mark.parametrize(
    ("keywords", "line"),
    [
        ({"train": "no.csv"}, "train: ROOT/no.csv cannot be read: No such file or directory"),
        ({"train": "pets"}, "train: ROOT/pets cannot be read: Is a directory"),
        ({"train": "../a.csv"}, "train '../a.csv' leads outside the data root ROOT"),
        ({"test": "../a.csv"}, "test '../a.csv' leads outside the data root ROOT"),
        ({"test": "no.csv"}, "test: ROOT/no.csv cannot be read: No such file or directory"),
        ({"folder": "no"}, "folder: ROOT/no is no folder"),
        ({"folder": "a.csv"}, "folder: ROOT/a.csv is no folder"),
        ({"folder": ".."}, "folder '..' leads outside the data root ROOT"),
        ({"folder": "/etc"}, "folder '/etc' leads outside the data root ROOT"),
        ({"folder": "out"}, "folder 'out' leads outside the data root ROOT"),
        ({"folder": "y" * 300}, f"folder: ROOT/{'y' * 300} cannot be read: File name too long"),
        ({"delimiter": " "}, "delimiter must be a semicolon or a tab or a comma, not ' '"),
    ],
)
def test_wrong_settings_are_named(tmp_path, keywords, line):
    root = tmp_path / "root"
    pets(root, COUNTS)
    write(root, GOOD)
    write(tmp_path, GOOD)
    (root / "out").symlink_to(tmp_path)
    assert refusal(csv_images, root, **{"train": "a.csv", **keywords}) == line


def test_links_that_lead_to_themselves_are_named(tmp_path):
    pets(tmp_path, COUNTS)
    (tmp_path / "pets/loop.png").symlink_to(tmp_path / "pets/loop.png")
    write(tmp_path, GOOD + "loop.png,dog\n")
    assert "loop.png" in refusal(csv_images, tmp_path, train="a.csv", max_broken=0)


def test_a_link_within_the_folder_is_followed(tmp_path):
    pets(tmp_path, COUNTS)
    (tmp_path / "pets/x.png").symlink_to("hidden/y.png")
    (tmp_path / "pets/hidden").mkdir()
    (tmp_path / "pets/hidden/y.png").write_bytes(flat(REDS["dog"], 20))
    write(tmp_path, GOOD + "x.png,dog\n")
    assert sorted(chain(*seen(load(tmp_path)).values())) == [*PAIRS, ("dog", 20)]

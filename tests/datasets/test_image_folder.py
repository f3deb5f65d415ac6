import os
import unicodedata
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from picture_files import REDS, fill, flat, pairs, pets, refusal, seen

import datasets
from datasets import image_folder


def load(root: Path, **keywords):
    return image_folder.load(root, **{"folder": "pets", "side": 4, **keywords})


def test_each_folder_is_a_class_and_a_tenth_and_a_fifth_are_held_back(tmp_path):
    counts = {"cat": 40, "dog": 300, "owl": 20}
    pets(tmp_path, counts)
    dataset = datasets.load("image_folder", tmp_path, {"folder": "pets", "side": 4})
    found = seen(dataset)
    assert dataset.classes == ("cat", "dog", "owl")
    assert (dataset.input_shape, dataset.development.inputs.dtype) == ((3, 4, 4), np.uint8)
    assert sorted(chain(*found.values())) == pairs(counts)
    shares = {part: [sum(name == of for name, _ in found[part]) for of in counts] for part in found}
    assert shares == {"train": [28, 210, 14], "val": [4, 30, 2], "test": [8, 60, 4]}
    assert (dataset.origin, dataset.warnings) == (f"{tmp_path}/pets, 360 pictures", ())


def test_the_side_is_128_where_not_said(tmp_path):
    pets(tmp_path, {"cat": 5, "dog": 5})
    assert image_folder.load(tmp_path, folder="pets", val=2).input_shape == (3, 128, 128)


SIDES = {"train": [8, 9, 10], "val": [2, 3, 4], "test": [5, 6, 7]}


@pytest.mark.parametrize(
    ("folders", "sizes"),
    [
        ({"train": "train", "val": "val", "test": "test"}, {"train": 27, "val": 9, "test": 18}),
        ({"train": "train", "valid": "val", "test": "test"}, {"train": 27, "val": 9, "test": 18}),
        ({"train": "train", "validation": "val"}, {"train": 22, "val": 9, "test": 5}),
        ({"Train": "train", "VAL": "val", "Test": "test"}, {"train": 27, "val": 9, "test": 18}),
        ({"train": "train", "test": "test"}, {"train": 23, "val": 4, "test": 18}),
        ({"train": "train"}, {"train": 18, "val": 4, "test": 5}),
    ],
    ids=lambda value: "-".join(value),
)
def test_parts_that_are_there_are_kept_and_the_others_split_off(tmp_path, folders, sizes):
    counts = {part: dict(zip(REDS, SIDES[part], strict=True)) for part in SIDES}
    start = {"train": 0, "val": 100, "test": 200}
    for folder, part in folders.items():
        pets(tmp_path, counts[part], f"pets/{folder}", start[part])
    dataset = load(tmp_path, val=0.15)
    assert dataset.resplits == ("val" not in folders.values())
    found = seen(dataset)
    assert {part: len(found[part]) for part in found} == sizes
    for part in set(folders.values()) - {"train"}:
        assert found[part] == pairs(counts[part], start[part])
    rest = [pair for part in found if part not in folders.values() or part == "train" for pair in found[part]]
    assert sorted(rest) == pairs(counts["train"])


@pytest.mark.parametrize("names", [("bus", "train"), ("test", "train", "bus"), ("test", "val")])
def test_a_class_may_be_called_like_a_part(tmp_path, names):
    for red, name in enumerate(names):
        fill(tmp_path / "pets" / name, red, range(10))
    assert load(tmp_path).classes == tuple(sorted(names))


def test_validation_and_test_folders_may_lack_a_class(tmp_path):
    pets(tmp_path, {"cat": 5, "dog": 5}, "pets/train")
    pets(tmp_path, {"cat": 2}, "pets/val", 100)
    (tmp_path / "pets/val/dog").mkdir()
    pets(tmp_path, {"dog": 2}, "pets/test", 200)
    found = seen(load(tmp_path))
    assert (found["val"], found["test"]) == ([("cat", 100), ("cat", 101)], [("dog", 200), ("dog", 201)])


def test_each_of_several_folds_validates_in_turn(tmp_path):
    pets(tmp_path, {"cat": 10, "dog": 15})
    dataset = load(tmp_path, folds=4)
    assert (len(dataset.folds), len(dataset.test)) == (4, 5)
    np.testing.assert_array_equal(np.sort(np.concatenate([fold.val for fold in dataset.folds])), np.arange(20))


def test_pictures_are_found_however_deep_and_hidden_files_are_not(tmp_path):
    pets(tmp_path, {"cat": 10, "dog": 10})
    cats = tmp_path / "pets/cat"
    fill(cats / "more/and more", REDS["cat"], range(10, 12))
    (cats / "10.PNG").write_bytes(flat(REDS["cat"], 12))
    (cats / "no ending").write_text("")
    for name in ("a.txt", "b.TXT", "more/c.txt", "d.mp4", ".DS_Store", "._1.png"):
        (cats / name).write_text("no picture")
    fill(cats / ".thumbnails", REDS["cat"], range(50, 60))
    fill(tmp_path / "pets/.git", 200, range(3))
    fill(tmp_path / "linked", REDS["dog"], range(20, 23))
    (tmp_path / "pets/dog/others").symlink_to(tmp_path / "linked")
    dataset = load(tmp_path)
    assert sorted(chain(*seen(dataset).values())) == pairs({"cat": 13, "dog": 10})
    (warning,) = dataset.warnings
    where, _, told = warning.rpartition(": ")
    assert where == f"dataset image_folder: {tmp_path}/pets: 6 files are no pictures by their ending"
    assert told.startswith("3 .txt, ")
    assert sorted(told.split(", ")) == ["1 .mp4", "1 link to a folder", "1 without one", "3 .txt"]


NAMES = ["Пёс", "猫", "🐈", "a cat, too", "cat'\"\\", "-n"]


def test_names_may_be_of_any_letters(tmp_path):
    composed, apart = (unicodedata.normalize(form, "Käuzchen") for form in ("NFC", "NFD"))
    for red, name in enumerate([*NAMES, apart]):
        fill(tmp_path / "pets" / name, red, range(5), ending=" é 猫.png")
        (tmp_path / "pets" / name / f"{apart}.png").write_bytes(flat(red, 5))
    dataset = load(tmp_path, test_share=7, val=7)
    assert dataset.classes == tuple(sorted([*NAMES, composed]))
    reds = dict(zip([*NAMES, composed], range(7), strict=True))
    expected = [reds[dataset.classes[target]] for target in dataset.development.targets]
    assert dataset.development.inputs[:, 0, 0, 0].tolist() == expected


def test_one_class_in_two_spellings_of_a_letter_is_one_class(tmp_path):
    for form, part in (("NFC", "train"), ("NFD", "test")):
        fill(tmp_path / "pets" / part / unicodedata.normalize(form, "Käuzchen"), 1, range(5))
        fill(tmp_path / "pets" / part / "b", 2, range(5))
    assert load(tmp_path, val=2).classes == (unicodedata.normalize("NFC", "Käuzchen"), "b")


def test_names_that_are_no_utf_8_can_be_read_and_written(tmp_path):
    cafe, dog = (tmp_path / "pets" / os.fsdecode(name) for name in (b"caf\xe9", b"dog"))
    fill(cafe, 1, range(5), os.fsdecode(b"\xff.png"))
    fill(dog, 2, range(5), os.fsdecode(b"\xff.png"))
    (dog / os.fsdecode(b"\xfe\n.png")).write_text("broken")
    (dog / os.fsdecode(b"x.\xfd")).write_text("no picture")
    for _ in range(2):
        dataset = load(tmp_path, val=2, max_broken=0.5)
        assert dataset.classes == ("caf\\xe9", "dog")
        assert [warning.rpartition("pets: ")[2] for warning in dataset.warnings] == [
            "1 files are no pictures by their ending: 1 .\\udcfd",
            "1 of 11 pictures cannot be read and are left out: pets/dog/\\udcfe .png (not a picture that Pillow opens)",
        ]
    "".join((*dataset.warnings, *dataset.classes, dataset.origin)).encode()
    refusal(image_folder, tmp_path, val=2).encode()


def test_splits_do_not_depend_on_the_order_in_which_files_were_made(tmp_path):
    names = [(name, number) for name in REDS for number in range(10)]
    for root, order in (("a", names), ("b", names[::-1])):
        for name, number in order:
            fill(tmp_path / root / "pets" / name, REDS[name], [number])
    one, other = (load(tmp_path / root) for root in "ab")
    assert one.digest() == other.digest() != load(tmp_path / "a", seed=1).digest()


def test_copies_across_the_sides_of_a_split_are_counted(tmp_path):
    pets(tmp_path, {"cat": 5, "dog": 5}, "pets/train")
    pets(tmp_path, {"cat": 2, "dog": 2}, "pets/val", 100)
    pets(tmp_path, {"cat": 3, "dog": 3}, "pets/test", 101)
    (tmp_path / "pets/test/dog/copy.png").write_bytes(flat(REDS["cat"], 4))
    across = [
        ("test", 1, "training", "dog/copy.png", "train/cat/4.png"),
        ("test", 2, "validation", "cat/101.png", "val/cat/101.png"),
    ]
    assert load(tmp_path).warnings == tuple(
        f"dataset image_folder: {tmp_path}/pets: {count} of 7 {held} pictures are copies of {known} pictures, "
        f"pets/{held}/{copy} of pets/{original}: errors on them look smaller than they are"
        for held, count, known, copy, original in across
    )


def test_a_few_broken_pictures_are_left_out_and_named(tmp_path):
    pets(tmp_path, {"cat": 10, "dog": 10})
    broken = [tmp_path / f"pets/dog/{number}.png" for number in range(5)]
    for path, content in zip(broken, [b"", b"text", flat(0)[:45], b"\0" * 99, b"text"], strict=True):
        path.write_bytes(content)
    unknown = "not a picture that Pillow opens"
    told = (
        f"pets/dog/0.png ({unknown}); pets/dog/1.png ({unknown}); pets/dog/2.png (image file is truncated); and 2 more"
    )
    for most in (0.25, 0.3, 1):
        dataset = load(tmp_path, max_broken=most, test_share=3, val=3)
        assert sorted(chain(*seen(dataset).values())) == pairs({"cat": 10}) + pairs({"dog": 5}, 5)
        assert dataset.warnings == (
            f"dataset image_folder: {tmp_path}/pets: 5 of 20 pictures cannot be read and are left out: {told}",
        )
        assert dataset.origin == f"{tmp_path}/pets, 15 pictures"
    for most in (0.24, 0.01, 0):
        assert refusal(image_folder, tmp_path, max_broken=most) == (
            f"ROOT/pets: 5 of 20 pictures cannot be read, and max_broken is {most:g}: {told}"
        )


def test_a_share_of_broken_pictures_that_is_just_allowed_is(tmp_path):
    pets(tmp_path, {"cat": 50, "dog": 50})
    for number in range(29):
        (tmp_path / f"pets/dog/{number}.png").write_bytes(b"")
    assert len(load(tmp_path, max_broken=0.29).warnings) == 1


def test_links_that_stay_below_the_data_root_are_followed(tmp_path):
    root = tmp_path / "root"
    pets(root, {"cat": 5}, "elsewhere")
    pets(root, {"dog": 4}, "pets")
    fill(root / "one", REDS["dog"], [4])
    (root / "pets/cat").symlink_to("../elsewhere/cat")
    (root / "pets/dog/a.png").symlink_to(root / "one/4.png")
    (tmp_path / "link").symlink_to(root)
    link, absolute = tmp_path / "link", str(root / "pets")
    for start, folder in ((root, "pets"), (link, "pets"), (root, absolute), (link, absolute), (root, "one/../pets")):
        found = seen(load(start, folder=folder, val=2))
        assert sorted(chain(*found.values())) == pairs({"cat": 5, "dog": 5})

import errno
import os
from pathlib import Path

import pytest
from picture_files import fill, pets, refusal

from datasets import image_folder


def empty(root: Path) -> None:
    (root / "pets").mkdir()


def hide(path: Path) -> None:
    path.rename(path.with_name(f".{path.name}"))


NEEDED = "a folder of pictures for each class is expected in it"
REFUSED = {
    "absent": (lambda _: None, {}, "folder: ROOT/pets cannot be read: No such file or directory"),
    "no folder": (lambda root: (root / "pets").touch(), {}, "folder: ROOT/pets cannot be read: Not a directory"),
    "no name for one": (empty, {"folder": "a\0b"}, "folder: ROOT/a\0b cannot be read: embedded null byte"),
    "too long a name": (
        empty,
        {"folder": "y" * 300},
        f"folder: ROOT/{'y' * 300} cannot be read: File name too long",
    ),
    "empty": (empty, {}, f"ROOT/pets: is empty; {NEEDED}"),
    "files only": (lambda root: fill(root / "pets", 0, [1]), {}, f"ROOT/pets: holds files, but no folders; {NEEDED}"),
    "train with files only": (
        lambda root: fill(root / "pets/train", 0, [1]),
        {},
        f"ROOT/pets/train: holds files, but no folders; {NEEDED}",
    ),
    "an empty class": (
        lambda root: (pets(root, {"cat": 5, "dog": 5}), (root / "pets/eel").mkdir()),
        {},
        "ROOT/pets: the class 'eel' has no pictures in ROOT/pets/eel",
    ),
    "a class of hidden pictures": (
        lambda root: (pets(root, {"cat": 5, "dog": 5}), fill(root / "pets/eel", 0, [1]), hide(root / "pets/eel/1.png")),
        {},
        "ROOT/pets: the class 'eel' has no pictures in ROOT/pets/eel",
    ),
    "one class": (
        lambda root: pets(root, {"cat": 5}),
        {},
        "ROOT/pets: the only class is 'cat'; two classes are needed at least",
    ),
    "a class to test only": (
        lambda root: (pets(root, {"cat": 5, "dog": 5}, "pets/train"), pets(root, {"owl": 1}, "pets/test")),
        {},
        "ROOT/pets: the class 'owl' of pets/test/owl/0.png has no pictures to train on",
    ),
    "a class of broken pictures": (
        lambda root: (pets(root, {"cat": 5, "dog": 5, "owl": 1}), (root / "pets/owl/0.png").write_text("")),
        {"max_broken": 0.5},
        "ROOT/pets: the class 'owl' has no picture to train on that can be read",
    ),
    "two folders for one part": (
        lambda root: [pets(root, {"cat": 5, "dog": 5}, f"pets/{part}") for part in ("train", "val", "valid")],
        {},
        "ROOT/pets: valid is a second folder for val",
    ),
    "folds beside a folder for validation": (
        lambda root: [pets(root, {"cat": 5, "dog": 5}, f"pets/{part}") for part in ("train", "val")],
        {"folds": 2},
        "ROOT/pets: folds 2, where there are pictures for validation: only one can be",
    ),
    "no folds beside a folder for validation": (
        lambda root: [pets(root, {"cat": 5, "dog": 5}, f"pets/{part}") for part in ("train", "val")],
        {"folds": 0},
        "ROOT/pets: folds 0, where there are pictures for validation: only one can be",
    ),
    "validation with nothing that can be read": (
        lambda root: (
            [pets(root, {"cat": 5, "dog": 1}, f"pets/{part}") for part in ("train", "val")],
            [path.write_bytes(b"") for path in root.glob("pets/val/*/*")],
        ),
        {"max_broken": 0.5},
        "ROOT/pets: none of the pictures that are for val can be read",
    ),
}
SETTINGS = [
    ({"side": 0}, "side must be from 1 to 4096 pixels, not 0"),
    ({"side": 5000}, "side must be from 1 to 4096 pixels, not 5000"),
    ({"max_broken": 1.5}, "max_broken must be a share from 0 to 1, not 1.5"),
    ({"folds": 0}, "folds must be 1 (a hold-out of val) or more, not 0"),
    ({"folds": 9}, "the class 'cat' is too rare for 9 folds: it has 4 examples to train on and validate with"),
    ({"val": 0}, "val must be a share between 0 and 1 or a number of its 10 examples, not 0"),
    (
        {"test_share": 1},
        "the class 'cat' is too rare to split: with test_share 1 its 5 of 10 examples do not reach both sides",
    ),
    ({}, "the class 'cat' is too rare to split: with val 1 its 4 of 8 examples do not reach both sides"),
]


@pytest.mark.parametrize("case", REFUSED)
def test_a_folder_of_another_form_is_named(tmp_path, case):
    make, keywords, line = REFUSED[case]
    make(tmp_path)
    assert refusal(image_folder, tmp_path, **keywords) == line


@pytest.mark.parametrize(("keywords", "line"), SETTINGS)
def test_settings_that_cannot_be_are_named(tmp_path, keywords, line):
    pets(tmp_path, {"cat": 5, "dog": 5})
    assert refusal(image_folder, tmp_path, **keywords) == f"ROOT/pets: {line}"


@pytest.mark.parametrize(
    ("link", "target", "named"),
    [
        ("pets/dog/x.png", "outside/owl/0.png", "file 'pets/dog/x.png'"),
        ("pets/owl", "outside/owl", "folder 'pets/owl'"),
        ("pets/train", "outside", "folder 'pets/train'"),
        ("parts/test", "outside", "folder 'parts/test/owl'"),
        ("linked", "outside", "folder 'linked'"),
    ],
)
def test_nothing_outside_the_data_root_is_opened(tmp_path, opened, link, target, named):
    root = tmp_path / "root"
    for folder in ("pets", "parts/train"):
        pets(root, {"cat": 5, "dog": 5}, folder)
    pets(tmp_path, {"owl": 5}, "outside")
    (root / link).symlink_to(tmp_path / target)
    line = refusal(image_folder, root, folder=link.partition("/")[0])
    assert line == f"{named} leads outside the data root ROOT"
    assert opened == []


@pytest.mark.parametrize(("loop", "folder"), [("pets/dog/loop.png", "pets"), ("loop", "loop"), ("loop", "loop/pets")])
def test_a_link_that_leads_to_itself_is_named(tmp_path, loop, folder):
    pets(tmp_path, {"cat": 5, "dog": 5})
    (tmp_path / loop).symlink_to(tmp_path / loop)
    assert loop in refusal(image_folder, tmp_path, folder=folder)


def test_a_folder_that_cannot_be_looked_into_is_named(tmp_path, monkeypatch):
    pets(tmp_path, {"cat": 5, "dog": 5})
    closed, real = tmp_path / "pets/dog", os.scandir

    def refusing(path):
        if Path(path) == closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert refusal(image_folder, tmp_path) == "folder: ROOT/pets/dog cannot be read: Permission denied"

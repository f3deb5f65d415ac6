import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from kept_pictures import kept, numbers, read, write

from datasets.decoded import FOLDER


def cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def changed(root: Path, **entries) -> None:
    index = kept(root, ".json")
    index.write_text(json.dumps(json.loads(index.read_text()) | entries))


DAMAGE = {
    "index cut off": lambda root: cut(kept(root, ".json"), 0.5),
    "index empty": lambda root: cut(kept(root, ".json"), 0),
    "index no JSON": lambda root: kept(root, ".json").write_bytes(b"\xff\0"),
    "index nested without end": lambda root: kept(root, ".json").write_text("[" * 100_000),
    "index of another kind": lambda root: kept(root, ".json").write_text("[1, 2]"),
    "index without files": lambda root: kept(root, ".json").write_text("{}"),
    "index with fewer files": lambda root: changed(root, files=[]),
    "index with other entries": lambda root: changed(root, files=[["a"], 3]),
    "index with another array": lambda root: changed(root, array="no.npy"),
    "index with no array": lambda root: changed(root, array=None),
    "array cut off": lambda root: cut(kept(root, ".npy"), 0.9),
    "array without pixels": lambda root: cut(kept(root, ".npy"), 0.1),
    "array empty": lambda root: cut(kept(root, ".npy"), 0),
    "array removed": lambda root: kept(root, ".npy").unlink(),
    "array of another shape": lambda root: np.save(kept(root, ".npy"), np.zeros((3, 3, 2, 2), np.uint8)),
    "array of another type": lambda root: np.save(kept(root, ".npy"), np.zeros((3, 3, 4, 4), np.int8)),
    "array of objects": lambda root: np.save(kept(root, ".npy"), np.array([{}, None, 3])),
    "all removed": lambda root: [path.unlink() for path in (root / FOLDER).iterdir()],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_whatever_is_damaged_is_made_anew(tmp_path, calls, damage):
    names = write(tmp_path, [1, 2, 3])
    read(tmp_path, names)
    calls()
    DAMAGE[damage](tmp_path)
    assert (numbers(read(tmp_path, names)), calls()) == ([1, 2, 3], [1, 2, 3])
    assert (numbers(read(tmp_path, names)), calls()) == ([1, 2, 3], [])


def test_what_a_killed_process_left_is_removed(tmp_path):
    names = write(tmp_path, [1, 2])
    read(tmp_path, names)
    index = kept(tmp_path, ".json")
    index.with_suffix(".dead.npy").write_bytes(b"half an array")
    index.with_suffix(".part").write_bytes(b"half an index")
    other = index.with_name("another.array.npy")
    other.write_bytes(b"of another dataset")
    names += write(tmp_path, [3])
    assert numbers(read(tmp_path, names)) == [1, 2, 3]
    assert other.exists()
    other.unlink()
    assert {path.suffix for path in index.parent.iterdir()} == {".json", ".npy", ".lock"}
    kept(tmp_path, ".npy")


def test_what_is_kept_is_used_where_nothing_can_be_written(tmp_path, calls):
    names = write(tmp_path, [1, 2])
    read(tmp_path, names)
    calls()
    lock = kept(tmp_path, ".lock")
    lock.unlink()
    lock.mkdir()
    assert (numbers(read(tmp_path, names)), calls()) == ([1, 2], [])


def test_a_root_in_which_nothing_can_be_kept_is_said_and_read_all_the_same(tmp_path, calls, capsys):
    names = write(tmp_path, [1, 2])
    (tmp_path / FOLDER).write_text("no folder")
    for _ in range(2):
        assert (numbers(read(tmp_path, names)), calls()) == ([1, 2], [1, 2])
        assert capsys.readouterr().err == (
            f"warning: {tmp_path}/{FOLDER}: decoded pictures cannot be kept there: Not a directory\n"
        )


@pytest.mark.parametrize(
    ("place", "error", "reason"),
    [
        ("numpy.save", OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        ("numpy.save", OSError("48 requested and 0 written"), "48 requested and 0 written"),
        ("pathlib.Path.write_text", OSError(errno.EDQUOT, "Disk quota exceeded"), "Disk quota exceeded"),
    ],
)
def test_a_full_disk_is_said_and_what_was_kept_stays(tmp_path, calls, capsys, monkeypatch, place, error, reason):
    names = write(tmp_path, [1, 2])
    read(tmp_path, names)
    before = sorted((tmp_path / FOLDER).iterdir())
    calls()

    def full(path, *args):
        (path if isinstance(path, Path) else Path(path.name)).write_bytes(b"what there was room for")
        raise error

    more = names + write(tmp_path, [3])
    with monkeypatch.context() as patch:
        patch.setattr(place, full)
        assert (numbers(read(tmp_path, more)), calls()) == ([1, 2, 3], [3])
    assert capsys.readouterr().err == (
        f"warning: {tmp_path}/{FOLDER}: decoded pictures cannot be kept there: {reason}\n"
    )
    assert sorted((tmp_path / FOLDER).iterdir()) == before
    assert (numbers(read(tmp_path, names)), calls()) == ([1, 2], [])
    assert (numbers(read(tmp_path, more)), calls()) == ([1, 2, 3], [3])


def test_a_pipe_or_a_folder_named_like_a_picture_is_broken_and_not_waited_for(tmp_path):
    names = write(tmp_path, [1, 2])
    os.mkfifo(tmp_path / "pipe.bmp")
    (tmp_path / "folder.bmp").mkdir()
    found = read(tmp_path, [*names, "pipe.bmp", "folder.bmp", "absent.bmp"])
    assert numbers(found) == [1, 2, -1, -1, -1]
    reasons = ["a pipe", "Is a directory", "No such file or directory"]
    assert [file.broken for file in found.files[2:]] == reasons

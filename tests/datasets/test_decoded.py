import errno
import fcntl
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from kept_pictures import kept, numbers, picture, read, write
from picture_files import encoded, exif, turned
from PIL import Image

from datasets import decoded
from datasets.errors import UserError

REPOSITORY = Path(__file__).parents[2]


def test_pictures_come_in_the_order_of_names_and_are_decoded_once(tmp_path, calls):
    names = write(tmp_path, [3, 1, 2, 200])
    assert numbers(read(tmp_path, names)) == [3, 1, 2, 200]
    assert calls() == [1, 2, 3, 200]
    for order in ([0, 1, 2, 3], [3, 0, 2, 1], [2, 1]):
        again = read(tmp_path, [names[place] for place in order])
        assert numbers(again) == [[3, 1, 2, 200][place] for place in order]
        assert [file.name for file in again.files] == [names[place] for place in order]
    assert calls() == []


def test_the_same_folder_by_another_path_is_the_same(tmp_path, calls, monkeypatch):
    names = write(tmp_path, [1, 2])
    read(tmp_path, names)
    monkeypatch.chdir(tmp_path.parent)
    assert numbers(read(Path(tmp_path.name), names)) == [1, 2]
    assert calls() == [1, 2]


def test_a_changed_file_alone_is_decoded_again_whatever_time_it_says(tmp_path, calls):
    names = write(tmp_path, range(5))
    first = read(tmp_path, names)
    calls()
    path = tmp_path / names[2]
    before = path.stat()
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # the clock of a file system may be coarse
        path.write_bytes(picture(99))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert numbers(read(tmp_path, names)) == [0, 1, 99, 3, 4]
    assert calls() == [99]
    assert numbers(first) == [0, 1, 2, 3, 4], "what was read stays as it is"
    assert numbers(read(tmp_path, names)) == [0, 1, 99, 3, 4]
    assert calls() == []


def test_files_that_are_added_or_renamed_are_decoded_and_those_removed_forgotten(tmp_path, calls):
    names = write(tmp_path, [1, 2, 3])
    read(tmp_path, names)
    calls()
    names += write(tmp_path, [4])
    assert (numbers(read(tmp_path, names)), calls()) == ([1, 2, 3, 4], [4])
    (tmp_path / names[0]).unlink()
    assert (numbers(read(tmp_path, names[1:])), calls()) == ([2, 3, 4], [])
    assert read(tmp_path, names).files[0].broken == "No such file or directory"
    (tmp_path / names[1]).rename(tmp_path / "b.bmp")
    assert (numbers(read(tmp_path, ["b.bmp", *names[2:]])), calls()) == ([2, 3, 4], [2])
    (tmp_path / names[2]).replace(tmp_path / names[3])
    assert (numbers(read(tmp_path, ["b.bmp", names[3]])), calls()) == ([2, 3], [3])


def test_another_side_or_fit_is_kept_apart(tmp_path, calls):
    names = write(tmp_path, [1, 2])
    for side, fit in ((4, "crop"), (5, "crop"), (4, "pad")):
        found = read(tmp_path, names, side, fit)
        assert (numbers(found), found.pixels.shape, calls()) == ([1, 2], (2, 3, side, side), [1, 2])
    for side, fit in ((4, "crop"), (5, "crop"), (4, "pad")):
        assert numbers(read(tmp_path, names, side, fit)) == [1, 2]
    assert calls() == []


def test_broken_files_are_remembered_as_such(tmp_path, calls):
    names = write(tmp_path, [1, 2])
    (tmp_path / names[0]).write_bytes(b"no picture")
    for expected in ([2, ord("e")], []):
        found = read(tmp_path, names)
        assert (numbers(found), calls()) == ([-1, 2], expected)
        assert found.files[0].broken == "not a picture that Pillow opens"
        assert [bool(file.digest) for file in found.files] == [True, True]


def test_files_that_cannot_be_opened_are_tried_again_and_others_not_written_anew(tmp_path, calls, monkeypatch):
    names = [*write(tmp_path, [1, 2]), "folder.bmp", "absent.bmp"]
    (tmp_path / names[2]).mkdir()
    real = Path.read_bytes

    def failing(path: Path) -> bytes:
        if path.name == names[0]:
            raise OSError(errno.EIO, "Input/output error")
        return real(path)

    reasons = ["Input/output error", None, "Is a directory", "No such file or directory"]
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", failing)
        assert [file.broken for file in read(tmp_path, names).files] == reasons
        array = kept(tmp_path, ".npy")
        assert [file.broken for file in read(tmp_path, names).files] == reasons
        assert kept(tmp_path, ".npy") == array
    assert (numbers(read(tmp_path, names)), calls()) == ([1, 2, -1, -1], [1, 2])
    write(tmp_path, [7])
    (tmp_path / "7.bmp").rename(tmp_path / "absent.bmp")
    assert (numbers(read(tmp_path, names)), calls()) == ([1, 2, -1, 7], [7])


def test_what_pillow_warns_of_is_neither_shown_nor_taken_for_damage(tmp_path):
    upright = np.arange(16, dtype=np.uint8).reshape(4, 4)
    tags = exif(turned(6), (0x010F, 2, 400, b"\xff\xff\0\0"))
    (tmp_path / "a.png").write_bytes(encoded(np.rot90(upright), exif=tags))
    with pytest.warns(UserWarning, match="Tag data larger than file"), Image.open(tmp_path / "a.png") as opened:
        opened.getexif()
    np.testing.assert_array_equal(read(tmp_path, ["a.png"]).pixels[0], np.broadcast_to(upright, (3, 4, 4)))


def test_more_pictures_than_there_is_memory_for_are_refused_before_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}.__getitem__)
    names = ["absent.bmp"] * 100
    with pytest.raises(UserError) as error:
        read(tmp_path, names, side=128)
    assert str(error.value) == (
        "dataset x: there: 100 pictures of 128×128 pixels take 0.0 GB, this machine has 0.0 GB of memory; "
        "choose a smaller side"
    )
    assert len(read(tmp_path, names, side=64).files) == 100


SCRIPT = """
import sys
from pathlib import Path
from datasets import decoded
root, names = Path(sys.argv[1]), sys.argv[2:]
real = decoded.decode
def noting(content, side, fit):
    with open(root / "log", "a") as log:
        log.write(f"{content[-1]}\\n")
    return real(content, side, fit)
decoded.decode = noting
print("ready", flush=True)
print(decoded.pictures("x", root, root / "there", names, 4, "crop").pixels[:, 0, 0, 0].tolist())
"""


def test_two_processes_at_once_decode_everything_once(tmp_path):
    names = write(tmp_path, range(40))
    read(tmp_path, names)
    kept(tmp_path, ".json").unlink()
    with kept(tmp_path, ".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = [sys.executable, "-c", SCRIPT, str(tmp_path), *names]
        processes = [subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
    assert [process.communicate(timeout=60)[0].strip() for process in processes] == [str(list(range(40)))] * 2
    assert sorted(map(int, (tmp_path / "log").read_text().split())) == list(range(40))


def test_a_long_wait_says_how_far_it_is(tmp_path, monkeypatch, capsys):
    names = write(tmp_path, range(40))
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    read(tmp_path, names)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(decoded, "_SILENT_SECONDS", -1.0)
    read(tmp_path, names, side=5)
    assert capsys.readouterr().err == "decoded 16 of 40 pictures\ndecoded 32 of 40 pictures\n"


def test_a_bar_is_shown_on_a_terminal(tmp_path, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    assert numbers(read(tmp_path, write(tmp_path, range(3)))) == [0, 1, 2]
    assert "decoding pictures" in terminal.getvalue()

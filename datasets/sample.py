"""``python -m datasets.sample TASK OUT``: small stand-ins for a task's files, in their real format, made offline."""

import argparse
import gzip
import io
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from datasets import Examples, drawn, drawn_animals, spiral
from datasets.command_line import Parser, guarded
from datasets.errors import UserError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        The exit code: 0, 2 for a mistake of the user's, 130 where interrupted.
    """
    parser = Parser(
        prog="python -m datasets.sample",
        description="Write a small stand-in for a task's data, in its real format, for trying things out.",
        allow_abbrev=False,
    )
    parser.add_argument("task", metavar="TASK", help=", ".join(sorted({"digits", *FORMATS})))
    parser.add_argument("out", type=Path, metavar="OUT", help="the data root to write below; made where absent")
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help="seed of what is drawn (default: 0)")

    def make() -> int:
        options = parser.parse_args(arguments)
        print(_made(options.task, options.out, options.seed))
        return 0

    return guarded(make)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to 2**32 - 1, not {text!r}")
    return int(text)


def _made(task: str, root: Path, seed: int) -> str:
    if task == "digits":
        return "digits needs no files, its pictures come with scikit-learn: python -m search.run digits"
    paths = write(task, root, seed)
    folder = root / task
    made = [path.name for path in paths if path.parent == folder]
    if deeper := [path.parent.name for path in paths if path.parent != folder]:
        folders = sorted(set(deeper))
        where = f"{len(folders)} folders" if len(folders) > 1 else f"{folders[0]}/"
        made.append(f"{len(deeper)} pictures in {where}")
    command = shlex.join(["python", "-m", "search.run", task, "--data-root", str(root)])
    return f"wrote a stand-in to {folder}: {', '.join(made)}; now: {command}"


def write(task: str, root: Path, seed: int, counts: tuple[int, int] | None = None) -> list[Path]:
    """Writes a task's files below ``root``; ``counts`` are the training and test examples (default: the task's own).

    Where a task's files are not split, their sum counts. The same arguments give the same bytes.

    Raises:
        UserError: a task without stand-ins, a folder that holds something already, or one that can't be written.
    """
    if task not in FORMATS:
        raise UserError(f"TASK {task}: has no stand-in; valid are {', '.join(sorted({'digits', *FORMATS}))}")
    make, usual = FORMATS[task]
    folder = root / task
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if there := sorted(path for path in folder.iterdir() if not path.name.startswith(".")):
            raise UserError(
                f"{there[0]} exists; a stand-in is never mixed with other files: choose another OUT, or move it away"
            )
        contents = make(seed, *(counts or usual))
        for name, content in contents.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
    except OSError as error:
        raise UserError(f"OUT {folder}: cannot be written ({error.strerror})") from None
    return [folder / name for name in contents]


def _mnist(seed: int, train: int, test: int) -> dict[str, bytes]:
    files = {}
    for split, count in (("train", train), ("t10k", test)):
        test_split = split == "t10k"
        examples = drawn.handwritten(count, np.random.default_rng([seed, test_split]), test=test_split)
        files[f"{split}-images-idx3-ubyte.gz"] = _idx(examples.inputs[:, 0])
        files[f"{split}-labels-idx1-ubyte.gz"] = _idx(examples.targets.astype(np.uint8))
    return files


def _idx(array: np.ndarray) -> bytes:
    """The IDX format, gzipped: two zeros, 8 for uint8, how many dimensions, each big-endian in 4 bytes, the data."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return gzip.compress(header + array.tobytes(), mtime=0)


def _svhn(seed: int, train: int, test: int) -> dict[str, bytes]:
    return {
        "train_32x32.mat": _mat(drawn.house_numbers(train, np.random.default_rng([seed, 0]))),
        "test_32x32.mat": _mat(drawn.house_numbers(test, np.random.default_rng([seed, 1]))),
    }


def _mat(examples: Examples) -> bytes:
    """SVHN's variables: X (32, 32, 3, examples), and y (examples, 1), in which a 10 is the digit 0."""
    from scipy.io import savemat

    y = np.where(examples.targets == 0, 10, examples.targets).astype(np.uint8)[:, None]
    file = io.BytesIO()
    savemat(file, {"X": examples.inputs.transpose(2, 3, 1, 0), "y": y}, do_compression=True)
    title = b"MATLAB 5.0 MAT-file, a drawn stand-in".ljust(116)  # savemat's has the time
    return title + file.getvalue()[len(title) :]


def _spiral(seed: int, train: int, test: int) -> dict[str, bytes]:
    return {  # the task's own points have the seeds 0 and 1
        "train.csv": _csv(spiral.generate(train, 2 * seed + 2)),
        "test.csv": _csv(spiral.generate(test, 2 * seed + 3)),
    }


def _csv(examples: Examples) -> bytes:
    rows = [f"{x:.9g},{y:.9g},arm {arm}" for (x, y), arm in zip(examples.inputs, examples.targets, strict=True)]
    return "\n".join(["x,y,label", *rows, ""]).encode()


def _wildlife(seed: int, train: int, test: int) -> dict[str, bytes]:
    """A folder a class."""
    files: dict[str, bytes] = {}
    numbers: Counter[str] = Counter()
    for name, picture in drawn_animals.wildlife(train + test, np.random.default_rng(seed)):
        numbers[name] += 1
        files[f"{name}/{name} {numbers[name]:04}.jpg"] = _jpeg(picture)
    return dict(sorted(files.items()))


def _insects(seed: int, train: int, test: int) -> dict[str, bytes]:
    """A table of files and species, in another order than the files', and a folder of pictures."""
    random = np.random.default_rng(seed)
    bees = drawn_animals.insects(train + test, random)
    names = [f"{number:04}.jpg" for number in range(1, len(bees) + 1)]
    rows = [f"{name};{species}" for name, (species, _) in zip(names, bees, strict=True)]
    table = "\n".join(["file;species", *random.permutation(rows), ""])
    pictures = {f"pictures/{name}": _jpeg(bee) for name, (_, bee) in zip(names, bees, strict=True)}
    return {"insects.csv": table.encode(), **pictures}


def _jpeg(picture: np.ndarray) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=85)
    return file.getvalue()


FORMATS: dict[str, tuple[Callable[[int, int, int], dict[str, bytes]], tuple[int, int]]] = {
    "mnist": (_mnist, (13_000, 2_000)),
    "svhn": (_svhn, (3_000, 1_000)),
    "spiral": (_spiral, (1_500, 2_000)),
    "wildlife": (_wildlife, (320, 80)),
    "insects": (_insects, (120, 30)),
}
"""What makes a task's files, by their names below its folder, from seed and counts; and the usual counts."""


if __name__ == "__main__":
    sys.exit(main())

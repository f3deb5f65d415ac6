"""Street View House Numbers, cropped digits: 32×32 colours, in MATLAB files (http://ufldl.stanford.edu/housenumbers)."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from datasets import Dataset, Examples, Fold
from datasets.errors import UserError
from datasets.files import Source, find, origin
from datasets.splits import hold_out

_ADDRESS = "http://ufldl.stanford.edu/housenumbers/"
SOURCES = {
    part: Source(f"{part}_32x32.mat", checksum, (f"{_ADDRESS}{part}_32x32.mat",))
    for part, checksum in {
        "train": "e26dedcc434d2e4c54c9b2d4a06d8373",
        "test": "eb5a983be6a315427106f1b164d9cef3",
        "extra": "a93ce644f1a588dc4d68dda5feec44a7",
    }.items()
}
CLASSES = tuple("0123456789")
_SHAPE = (32, 32, 3)


def load(root: Path, *, val: float = 0.1, extra: bool = False, seed: int = 0) -> Dataset:
    """Pictures (3, 32, 32), uint8; of the training file a stratified share ``val``, drawn by ``seed``, for validation.

    73,257 development examples and 26,032 test examples; ``extra`` adds 531,131 only to train on. The files
    lie in root/svhn or root. One with another checksum than the published is read, and a warning says so.

    Raises:
        UserError: a file that is absent, damaged, or not the one it should be; ``val`` that leaves a class empty.
    """
    parts = ["train", "test", *(["extra"] if extra else [])]
    paths = {part: find("dataset svhn", root, SOURCES[part]) for part in parts}
    others = {
        part: found for part, path in paths.items() if (found := SOURCES[part].sum_of(path)) != SOURCES[part].checksum
    }
    _survive([paths[part] for part in others])
    train = _examples(paths["train"])
    fold = hold_out("dataset svhn", train.targets, CLASSES, val, seed)
    test = _examples(paths["test"])
    if extra:
        development = _joined(train, _examples(paths["extra"]))
        fold = Fold(np.r_[fold.train, np.arange(len(train), len(development))], fold.val)
    else:
        development = train
    return Dataset(
        name="svhn",
        classes=CLASSES,
        development=development,
        folds=(fold,),
        test=test,
        origin=origin(list(paths.values())),
        warnings=tuple(
            f"dataset svhn: {paths[part]} is not the published file: its md5 is {found}, not {SOURCES[part].checksum}"
            for part, found in others.items()
        ),
        randomly_split=len(train),
    )


def _survive(paths: Sequence[Path]) -> None:
    """Reads files in another process first: over some damaged ones SciPy's reader brings its whole process down."""
    code = (
        "import sys; from scipy.io import loadmat\n"
        "for path in sys.argv[1:]: print(path, flush=True); loadmat(path, variable_names=('X', 'y'))"
    )
    if paths:
        command = [sys.executable, "-c", code, *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode < 0:
            last = Path(done.stdout.splitlines()[-1])
            raise _wrong(last, "cannot be read as a MATLAB file with X and y: it is damaged")


def _joined(first: Examples, second: Examples) -> Examples:
    return Examples(np.concatenate([first.inputs, second.inputs]), np.concatenate([first.targets, second.targets]))


def _examples(path: Path) -> Examples:
    """Of X (32, 32, 3, n) and y (n, 1), 1 to 10, where 10 is the digit 0."""
    from scipy.io import loadmat

    try:
        variables = loadmat(path, variable_names=("X", "y"))
    except Exception as error:  # its reader raises whatever the bytes lead it to
        raise _wrong(path, f"cannot be read as a MATLAB file with X and y: {error}") from None
    if missing := [name for name in ("X", "y") if name not in variables]:
        raise _wrong(path, f"has no variable {missing[0]}; X (32×32×3×n, uint8) and y (n labels) are expected")
    pictures, labels = variables["X"], np.asarray(variables["y"])
    if not isinstance(pictures, np.ndarray) or pictures.dtype != np.uint8 or pictures.shape[:-1] != _SHAPE:
        raise _wrong(path, f"X is {_described(pictures)}, not uint8 of 32×32×3×n")
    count = pictures.shape[-1]
    if labels.dtype.kind not in "uif" or labels.size != count or labels.shape not in ((count, 1), (1, count)):
        raise _wrong(path, f"y is {_described(labels)}, not {count} numbers, a label for each picture of X")
    if count == 0:
        raise _wrong(path, "X is empty")
    labels = labels.ravel()
    if (bad := ~np.isin(labels, np.arange(1, 11))).any():
        place = int(np.argmax(bad))
        raise _wrong(path, f"the label of example {place} is {labels[place]}, not 1 to 10")
    return Examples(np.ascontiguousarray(pictures.transpose(3, 2, 0, 1)), labels.astype(np.int64) % 10)


def _described(value: object) -> str:
    array = np.asarray(value)
    return f"{array.dtype} of {'×'.join(map(str, array.shape)) or 'no dimension'}"


def _wrong(path: Path, what: str) -> UserError:
    return UserError(f"dataset svhn: {path}: {what}")

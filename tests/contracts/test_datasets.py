"""What every dataset module meets by being there, on little data of the tasks that have it."""

import hashlib
import io
import os
import pickle
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from operator import attrgetter

import numpy as np
import pytest
import small_tasks
from PIL import Image
from small_tasks import Case

import datasets
from datasets import Dataset, Examples, sample
from datasets.decoding import decode
from datasets.errors import UserError
from trainables.signatures import available, dataset_keywords

CASES = small_tasks.cases()
case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def contents(examples: Examples) -> Counter[tuple[int, str]]:
    """Each example by its target and a checksum of its values, in no order."""
    pairs = zip(examples.targets, examples.inputs, strict=True)
    return Counter((int(target), hashlib.sha256(values.tobytes()).hexdigest()[:16]) for target, values in pairs)


def everything(dataset: Dataset) -> Counter[tuple[int, str]]:
    return contents(dataset.development) + contents(dataset.test)


def keywords_of(case: Case) -> dict:
    """Every setting of a case, its default where it says nothing."""
    return {name: keyword.default for name, keyword in dataset_keywords(case.module).items()} | case.settings


@pytest.mark.parametrize("module", available("datasets"))
def test_every_module_is_tested_here(module):
    assert module in {case.module for case in CASES.values()}, (
        f"datasets/{module}.py is the dataset of no task that loads: give it one in conf/ and a sample in "
        "datasets/sample.py, or a case in tests/contracts/small_tasks.py"
    )


@pytest.mark.parametrize("task", sample.FORMATS)
def test_every_sample_is_of_a_task(task):
    assert task in small_tasks.CONFS, f"datasets/sample.py writes {task}, but there is no conf/{task}.yaml"


@case
def test_examples_are_pictures_or_points_of_named_classes(case, loaded):
    dataset = loaded(case)
    assert dataset.name == case.module
    assert len(dataset.classes) >= 2
    assert all(isinstance(name, str) and name.strip() for name in dataset.classes)
    assert len(set(dataset.classes)) == len(dataset.classes)
    assert len(dataset.test) > 0
    for examples in (dataset.development, dataset.test):
        assert examples.inputs.dtype in (np.uint8, np.float32)
        assert examples.inputs.shape == (len(examples), *dataset.input_shape)
        assert examples.targets.dtype == np.int64
        assert examples.targets.shape == (len(examples),)
        assert set(examples.targets) <= set(range(len(dataset.classes)))
        if len(dataset.input_shape) == 3:
            channels, *sides = dataset.input_shape
            assert channels in (1, 3)
            assert min(sides) > 0
            assert examples.inputs.dtype == np.uint8 or 0 <= examples.inputs.min() <= examples.inputs.max() <= 1
        else:
            (features,) = dataset.input_shape
            assert features > 0
            assert np.isfinite(examples.inputs).all()
    assert set(dataset.development.targets) == set(range(len(dataset.classes)))
    if side := keywords_of(case).get("side"):
        assert dataset.input_shape[1:] == (side, side)


@case
def test_folds_split_the_development_examples(case, loaded):
    dataset = loaded(case)
    number, classes = len(dataset.development), set(range(len(dataset.classes)))
    assert len(dataset.folds) == keywords_of(case).get("folds", 1)
    for fold in dataset.folds:
        np.testing.assert_array_equal(np.sort(np.r_[fold.train, fold.val]), np.arange(number))
        assert set(dataset.development.targets[fold.train]) == set(dataset.development.targets[fold.val]) == classes
    if len(dataset.folds) > 1:
        held = np.concatenate([fold.val for fold in dataset.folds])
        np.testing.assert_array_equal(np.sort(held), np.arange(number))


@case
def test_a_split_is_stratified_where_a_seed_draws_it_and_else_by_position(case, loaded):
    dataset, settings = loaded(case), keywords_of(case)
    if "seed" not in settings:
        (fold,) = dataset.folds
        np.testing.assert_array_equal(np.r_[fold.train, fold.val], np.arange(len(dataset.development)))
        return
    targets = dataset.development.targets
    held = [(targets[fold.val], targets) for fold in dataset.folds]
    if "test_share" in settings and settings.get("test") is None:
        held.append((dataset.test.targets, np.r_[targets, dataset.test.targets]))
    for part, whole in held:
        counts, pool = (np.bincount(side, minlength=len(dataset.classes)) for side in (part, whole))
        assert np.abs(counts - pool * len(part) / len(whole)).max() < 1 + 1e-9


@case
def test_no_example_is_on_both_sides(case, loaded):
    dataset = loaded(case)
    sides = [(dataset.development, dataset.test)]
    sides += [tuple(dataset.development.at(side) for side in (fold.train, fold.val)) for fold in dataset.folds]
    for one, other in sides:
        assert {values for _, values in contents(one)}.isdisjoint(values for _, values in contents(other))


@case
def test_loaded_again_it_is_the_same(case, loaded, root_of):
    dataset = loaded(case)
    again = datasets.load(case.module, root_of(case.sample), case.settings)
    assert again.digest() == dataset.digest()
    for name in ("classes", "origin", "warnings"):
        assert getattr(again, name) == getattr(dataset, name)


SEEDED = {name: case for name, case in CASES.items() if "seed" in dataset_keywords(case.module)}


@pytest.mark.parametrize("case", SEEDED.values(), ids=SEEDED)
def test_another_seed_splits_the_same_examples_otherwise(case, loaded, root_of):
    dataset = loaded(case)
    other = datasets.load(case.module, root_of(case.sample), case.settings | {"seed": keywords_of(case)["seed"] + 1})
    assert everything(other) == everything(dataset)
    first, second = (
        [frozenset(contents(each.development.at(fold.val))) for fold in each.folds] for each in (dataset, other)
    )
    assert set(first).isdisjoint(second)


@pytest.mark.parametrize("case", SEEDED.values(), ids=SEEDED)
def test_split_again_the_same_arrays_are_in_other_folds_of_the_same_kind(case, loaded):
    dataset = loaded(case)
    assert dataset.resplits
    other, again, sent = dataset.resplit(5), dataset.resplit(5), pickle.loads(pickle.dumps(dataset.blind())).resplit(5)
    assert other.development is dataset.development
    assert other.test is dataset.test
    assert sent.test is None
    assert other.test_digest() == dataset.test_digest()
    assert other.digest() == again.digest() != dataset.digest()
    targets = dataset.development.targets
    for fold, before, away in zip(other.folds, dataset.folds, sent.folds, strict=True):
        np.testing.assert_array_equal(fold.val, away.val)
        np.testing.assert_array_equal(np.sort(np.r_[fold.train, fold.val]), np.arange(len(targets)))
        np.testing.assert_array_equal(np.bincount(targets[fold.val]), np.bincount(targets[before.val]))
    assert {tuple(fold.val) for fold in other.folds}.isdisjoint(tuple(fold.val) for fold in dataset.folds)


FROM_FILES = {name: case for name, case in CASES.items() if case.sample is not None}


@pytest.fixture(scope="module")
def rearranged(sample_of, tmp_path_factory) -> Callable[[str], os.PathLike]:
    """A data root with the same files, written in another order, the rows of their tables in another one too."""
    roots = {}

    def root_of(task: str) -> os.PathLike:
        if task not in roots:
            roots[task] = tmp_path_factory.mktemp(f"{task}_rearranged")
            for path in reversed(sample_of(task).paths):
                target = roots[task] / path.relative_to(sample_of(task).root)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
                if target.suffix == ".csv":
                    first, *rows = target.read_text(encoding="utf-8").splitlines()
                    target.write_text("\n".join([first, *reversed(rows)]), encoding="utf-8")
        return roots[task]

    return root_of


class Scan:
    """Entries as ``os.scandir`` gives them."""

    def __init__(self, entries: Iterable[os.DirEntry]) -> None:
        self.entries = iter(entries)

    def __iter__(self) -> Iterator[os.DirEntry]:
        return self

    def __next__(self) -> os.DirEntry:
        return next(self.entries)

    def __enter__(self) -> Iterator[os.DirEntry]:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        self.entries = iter(())


@contextmanager
def listed(monkeypatch: pytest.MonkeyPatch, *, backwards: bool) -> Iterator[None]:
    """Within it every folder lists its files by their names, from the first or from the last."""

    names, entries, by_name = os.listdir, os.scandir, attrgetter("name")
    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", lambda *of: sorted(names(*of), reverse=backwards))
        patch.setattr(os, "scandir", lambda *of: Scan(sorted(entries(*of), key=by_name, reverse=backwards)))
        yield


@pytest.mark.parametrize("case", FROM_FILES.values(), ids=FROM_FILES)
def test_neither_the_order_of_files_nor_that_of_rows_matters(case, loaded, rearranged, monkeypatch):
    for backwards in (False, True):
        with listed(monkeypatch, backwards=backwards):
            dataset = datasets.load(case.module, rearranged(case.sample), case.settings)
        assert dataset.classes == loaded(case).classes
        assert dataset.digest() == loaded(case).digest()


@case
def test_a_blind_copy_is_without_the_test_split_also_in_its_bytes(case, loaded):
    dataset = loaded(case)
    blind = dataset.blind()
    assert blind.test is None
    assert contents(blind.development) == contents(dataset.development)
    pickled = pickle.dumps(blind)
    assert len(pickled) <= len(pickle.dumps(dataset)) - dataset.test.inputs.nbytes
    assert [place for place, values in enumerate(dataset.test.inputs) if values.tobytes() in pickled] == []


ONE_EACH = {case.module: case for case in CASES.values()}


@pytest.mark.parametrize("case", ONE_EACH.values(), ids=ONE_EACH)
def test_where_its_files_are_not_it_says_so_in_a_line_and_leaves_nothing(case, tmp_path):
    """Or it needs none."""
    root = tmp_path / "mistyped"
    said = ""
    try:
        datasets.load(case.module, root, case.settings)
    except UserError as error:
        said = str(error)
    assert not said or re.fullmatch(f"dataset {case.module}: [^\n]*{re.escape(str(root))}[^\n]*", said)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("task", sample.FORMATS)
def test_what_was_drawn_for_a_sample_is_what_is_read(task, loaded, sample_of):
    dataset, drawn = loaded(CASES[task]), sample_of(task).drawn
    assert drawn, f"what datasets/sample.py writes for {task} comes from no function of a module that it imports"
    assert len(dataset.development) + len(dataset.test) == sum(small_tasks.counts_of(task))
    if all(isinstance(part, Examples) for part in drawn):
        for part, read in zip(drawn, (dataset.development, dataset.test), strict=True):
            assert contents(read) == contents(part)
        return
    settings = keywords_of(CASES[task])
    sides = (dataset.development, dataset.test)
    read, targets = (np.concatenate([getattr(side, name) for side in sides]) for name in ("inputs", "targets"))
    pictures = [pair for part in drawn for pair in part]
    assert Counter(label for label, _ in pictures) == Counter(dataset.classes[target] for target in targets)
    expected = np.stack([decode(png(picture), settings["side"], settings["fit"]) for _, picture in pictures])
    nearest, distances = nearest_of(expected, read)
    assert distances.max() < 12
    assert sorted(nearest) == list(range(len(pictures)))
    assert [pictures[place][0] for place in nearest] == [dataset.classes[target] for target in targets]


def nearest_of(known: np.ndarray, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each picture the place of the one that is most like it, and how far they are apart (root mean square)."""
    first, second = (each.reshape(len(each), -1) / 255 for each in (pictures, known))
    squares = (first**2).sum(1)[:, None] + (second**2).sum(1) - 2 * first @ second.T
    return squares.argmin(1), 255 * np.sqrt(squares.min(1).clip(0) / first.shape[1])


def png(picture: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=0)
    return file.getvalue()

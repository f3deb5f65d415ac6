"""A task: its conf, its data and the published weights its models begin from, as a search would read them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from datasets.errors import UserError
from search import conf
from search.checks.finding import Finding, count, gigabytes, of_error
from search.task import Task


def data(name: str, data_root: Path | None, nodes: Callable[[], Sequence[Mapping[str, float]]]) -> Iterator[Finding]:
    """``nodes``: resources of each node that the data is put on; none where that is not known."""
    try:
        task = conf.load(name, {}, [])
    except UserError as error:
        yield of_error(error, "see what a conf file has: README.md, or the ones in conf/")
        return
    families = "1 family" if len(task.families) == 1 else f"{len(task.families)} families"
    yield Finding("ok", f"{conf.find(name)} is valid: {families}, at most {task.epochs} epochs a trial")
    for look in (_examples(task, data_root, nodes), _weights(task, data_root)):
        try:
            yield from look
        except UserError as error:
            yield of_error(error, "name the folder that the data lies below: --data-root FOLDER")


def _examples(
    task: Task, data_root: Path | None, nodes: Callable[[], Sequence[Mapping[str, float]]]
) -> Iterator[Finding]:
    from search import cluster
    from search.reading import read

    dataset = read(task, data_root)
    assert dataset.test is not None
    examples = f"{len(dataset.development):,} development and {len(dataset.test):,} test examples"
    yield Finding("ok", f"{examples}, {dataset.nbytes / 1e6:.1f} MB ({dataset.origin})")
    for warning in dataset.warnings:
        yield Finding("warning", warning, "put it right in the data, or bear it in mind with the result")
    resources = nodes()
    if not resources:
        return
    try:
        cluster.check_object_store(resources, dataset.nbytes)
    except UserError as error:
        yield of_error(error, "make examples smaller, or the object store larger, as it says")
        return
    smallest = min(node.get("object_store_memory", 0.0) for node in resources)
    yield Finding("ok", f"{count(len(resources), 'node')} can hold them: object stores from {gigabytes(smallest)}")


def _weights(task: Task, data_root: Path | None) -> Iterator[Finding]:
    from search.reading import read_weights, weights_of_space

    for name, otherwise in weights_of_space(task).items():
        read_weights(task, data_root, {name: otherwise})
        yield Finding("ok", f"published weights are there: {name}")

"""``python -m search.run TASK``: one search, from the command line to the tested winner."""

import itertools
import json
import os
import shlex
import signal
import sys
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from datasets.errors import UserError
from search import cli, conf
from search.cli import Options
from search.task import Task

if TYPE_CHECKING:
    from datasets import Dataset
    from search.driver import Driver

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        The exit code: 0, 1 where no trial gave a result, 2 for a mistake of the user's, 130 where interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        options = cli.parse(arguments)
        changes = {"epochs": options.epochs, "grace": options.grace, "reduction_factor": options.reduction_factor}
        changed = {key: value for key, value in changes.items() if value is not None}
        task = conf.load(options.task, changed, options.set, options.model)
        if options.dry_run:
            return dry_run(task, options)
        return Search(task, options, ["python", "-m", "search.run", *arguments]).run()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED


def dry_run(task: Task, options: Options) -> int:
    """Prints what would be done; starts nothing."""
    import yaml

    import datasets
    from search import cluster

    nodes = cluster.nodes_at(options.ray_address) if options.ray_address else cluster.this_machine()
    gpus = cluster.gpus_for(nodes, options.gpus_per_trial)
    slots = cluster.slots(nodes, options.cpus_per_trial, gpus)
    dataset = datasets.load(task.dataset, options.data_root, task.dataset_settings)
    assert dataset.test is not None
    plan = {
        "slots": f"{slots} trials side by side, each {options.cpus_per_trial:g} CPUs and {gpus:g} GPUs, "
        f"on {options.ray_address or 'this machine'}",
        "rungs": list(task.milestones),
        "most epochs": options.num_samples * task.epochs,
        "dataset": {
            "development": len(dataset.development),
            "folds": [f"{len(fold.train)} train, {len(fold.val)} validation" for fold in dataset.folds],
            "test": len(dataset.test),
            "input shape": list(dataset.input_shape),
            "classes": len(dataset.classes),
            "MB": round((dataset.development.inputs.nbytes + dataset.test.inputs.nbytes) / 1e6, 1),
        },
    }
    if options.json:
        print(json.dumps({"conf": task.resolved, "plan": plan}, indent=2))
        return 0
    for title, content in (("conf, as resolved", task.resolved), ("plan", plan)):
        print(f"# {title}\n{yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=110)}")
    return 0


class Search:
    """One search; its steps in their order."""

    def __init__(self, task: Task, options: Options, command: Sequence[str]) -> None:
        self.task, self.options = task, options
        self.command = shlex.join(command)
        self.began = time.monotonic()
        self.driver: Driver | None = None
        self.interruptions = 0

    def run(self) -> int:
        """Everything, from the checks to the report."""
        self._check_folders()
        uri = self._check_tracking()
        from search import cluster

        if self.options.ray_address:
            cluster.check_address(self.options.ray_address)
        with ExitStack() as at_end:
            at_end.callback(cluster.disconnect)
            with ThreadPoolExecutor(max_workers=1) as beside:
                reading = beside.submit(self._read_data)
                cluster.connect(self.options.ray_address)
                dataset = reading.result()
            for number in (signal.SIGINT, signal.SIGTERM):  # only now: Ray's start sets handlers of its own
                at_end.callback(signal.signal, number, signal.signal(number, self._interrupt))
            return self._search(uri, dataset)

    def _read_data(self) -> "Dataset":
        """Reads the data, and imports what takes long, while Ray is starting."""
        import datasets

        dataset = datasets.load(self.task.dataset, self.options.data_root, self.task.dataset_settings)
        import search.proposer
        import search.recorder

        search.recorder.import_mlflow()
        return dataset

    def _check_folders(self) -> None:
        runs = self.options.runs_dir
        try:
            runs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"--runs-dir {runs}: cannot be made ({error.strerror})") from None
        if not os.access(runs, os.W_OK | os.X_OK):
            raise UserError(f"--runs-dir {runs}: is not writable")
        if self.options.name and (runs / self.options.name).exists():
            raise UserError(f"--name {self.options.name}: {runs / self.options.name} exists; choose another name")

    def _make_folder(self) -> Path:
        """The run's folder, by the name asked for, or by one made of task and time that no search has."""
        stem = self.options.name or f"{self.task.name}-{datetime.now():%Y%m%d-%H%M%S}"
        folder = self.options.runs_dir / stem
        for number in itertools.count(2):
            try:
                folder.mkdir()
                break
            except FileExistsError:
                if self.options.name:
                    raise UserError(f"--name {self.options.name}: {folder} exists; choose another name") from None
                folder = self.options.runs_dir / f"{stem}-{number}"
        return folder

    def _check_tracking(self) -> str:
        from search import tracking

        uri = self.options.tracking_uri or tracking.default_uri(self.options.runs_dir)
        tracking.check(uri)
        return uri

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.interruptions += 1
        if self.interruptions > 1:
            os._exit(INTERRUPTED)
        if self.driver is None:
            raise KeyboardInterrupt
        self.driver.stopping = True
        os.write(2, b"\nstopping: running trials are cancelled, what is there is tested (again: at once)\n")

    def _search(self, uri: str, dataset: "Dataset") -> int:
        from search import cluster, results
        from search.driver import Driver
        from search.events import FILE_NAME, EventLog
        from search.history import History
        from search.progress import ProgressView
        from search.proposer import Proposer
        from search.recorder import Recorder
        from search.tuning import run_trials
        from trainables.trial import Plan

        task, options = self.task, self.options
        nodes = cluster.joined_nodes()
        gpus = cluster.gpus_for(nodes, options.gpus_per_trial)
        slots = cluster.slots(nodes, options.cpus_per_trial, gpus)
        folder = self._make_folder()
        log, history = EventLog(folder / FILE_NAME), History()
        history.apply(log.append("search", **self._facts(folder.name, uri, dataset)))
        recorder = Recorder(folder, uri)
        recorder.start()
        progress = ProgressView(history, options.num_samples, task.metric, quiet=options.quiet)
        progress.say(f"{folder.name}: {options.num_samples} trials of at most {task.epochs} epochs, {slots} at a time")
        proposer = Proposer(task.space, options.sampler, options.seed, task.references)
        driver = self.driver = Driver(
            task, log, history, proposer, num_samples=options.num_samples, seed=options.seed, on_event=progress.update
        )
        plan = Plan(
            epochs=task.epochs,
            patience=task.patience,
            metric=task.metric,
            milestones=task.milestones,
            cpus=options.cpus_per_trial,
            gpus=gpus,
        )
        finish = results.Finish(task, options, folder, log, history, recorder, self.began)
        progress.begin()
        try:
            try:
                run_trials(driver, dataset.blind(), plan, folder, min(slots, options.num_samples))
            finally:
                driver.cancel_running("interrupted" if self.interruptions else "the search stopped")
                progress.end()
            finish.test(dataset, gpus)
        finally:  # whatever breaks, what is there is written down
            finish.record(interrupted=self.interruptions > 0)
        finish.show()
        if driver.failure:
            print(driver.failure.traceback, file=sys.stderr, end="")
            print(f"error: the first trials all ended with {driver.failure.reason}", file=sys.stderr)
        if self.interruptions:
            return INTERRUPTED
        return 0 if history.tests else 1

    def _facts(self, name: str, uri: str, dataset: "Dataset") -> dict[str, Any]:
        """What the log says of the search itself."""
        from search.provenance import git_state, installed_versions

        commit, dirty = git_state()
        options = {key: str(value) if isinstance(value, Path) else value for key, value in vars(self.options).items()}
        return {
            "schema_version": 1,
            "id": uuid.uuid4().hex,
            "name": name,
            "task": self.task.name,
            "seed": self.options.seed,
            "command": self.command,
            "options": options,
            "conf": self.task.resolved,
            "metric": self.task.metric,
            "milestones": list(self.task.milestones),
            "tracking_uri": uri,
            "experiment": self.task.name,
            "dataset_digest": dataset.digest(),
            "classes": list(dataset.classes),
            "git_commit": commit,
            "git_dirty": dirty,
            "versions": installed_versions(),
        }


if __name__ == "__main__":
    sys.exit(main())

"""``python -m search.run TASK``: one search, from the command line to the tested winner."""

import itertools
import json
import os
import shlex
import sys
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.command_line import INTERRUPTED, guarded
from datasets.errors import UserError
from search import cli, conf, warm_start
from search.cli import Options
from search.session import Session
from search.task import Task
from search.warm_start import WarmStart

if TYPE_CHECKING:
    from datasets import Dataset
    from search.reading import Wanted
    from search.space import Config


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        The exit code: 0, 1 where no trial gave a result, 2 for a mistake of the user's, 130 where interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    return guarded(lambda: _run(arguments))


def _run(arguments: Sequence[str]) -> int:
    options = cli.parse(arguments)
    names = ("epochs", "metric", "scheduler", "grace", "reduction_factor")
    changed = {name: value for name in names if (value := getattr(options, name)) is not None}
    task = conf.load(options.task, changed, options.set, options.model)
    if options.references and not task.references:
        raise UserError(f"--references: {conf.find(options.task)} has none")
    warm = warm_start.load(options.warm_start, options.runs_dir, task)
    if options.dry_run:
        return dry_run(task, options, warm)
    return Search(task, options, warm, ["python", "-m", "search.run", *arguments]).run()


def dry_run(task: Task, options: Options, warm: Sequence[WarmStart]) -> int:
    """Prints what would be done; starts nothing."""
    import yaml

    from search import cluster
    from search.reading import read, read_weights

    nodes = cluster.nodes_at(options.ray_address) if options.ray_address else cluster.this_machine()
    gpus = cluster.gpus_for(nodes, options.gpus_per_trial)
    slots = min(cluster.slots(nodes, options.cpus_per_trial, gpus), options.max_concurrent or sys.maxsize)
    read_weights(task, options.data_root, _wanted(task, options))
    dataset = read(task, options.data_root)
    assert dataset.test is not None
    warm_start.check_data(warm, dataset, task)
    plan = {
        "slots": f"{slots} trials side by side, each {options.cpus_per_trial:g} CPUs and {gpus:g} GPUs, "
        f"on {options.ray_address or 'this machine'}",
        "rungs": list(task.milestones),
        "most epochs": options.num_samples * task.epochs,
        "references": [reference.name for reference in task.references] if options.references else [],
        "warm start": [str(search) for search in warm],
        "dataset": {
            "from": dataset.origin,
            "warnings": list(dataset.warnings),
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
        text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=110, allow_unicode=True)
        print(f"# {title}\n{text}")
    return 0


class Search:
    """One search; its steps in their order."""

    def __init__(self, task: Task, options: Options, warm: Sequence[WarmStart], command: Sequence[str]) -> None:
        self.task, self.options, self.warm = task, options, warm
        self.command = shlex.join(command)

    def run(self) -> int:
        """Everything, from the checks to the report."""
        self._check_folders()
        uri = self._check_tracking()
        task, options = self.task, self.options
        self.session = Session(task, options.data_root, options.ray_address, _wanted(task, options), uri)
        with self.session.opened() as dataset:
            warm_start.check_data(self.warm, dataset, task)
            return self._search(uri, dataset)

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

    def _search(self, uri: str, dataset: "Dataset") -> int:
        from search import provenance, references
        from search.budgets import Budgets
        from search.driver import Driver
        from search.events import FILE_NAME, EventLog
        from search.finish import Finish
        from search.history import History
        from search.progress import ProgressView
        from search.proposer import Proposer
        from search.recorder import Recorder
        from search.selection import select
        from trainables.trial import Plan

        task, options = self.task, self.options
        resources = self.session.resources(options.cpus_per_trial, options.gpus_per_trial)
        accepts = _at_most(task.max_parameters, dataset) if task.max_parameters else None
        past = [trial for search in self.warm for trial in search.trials]
        proposer = Proposer(
            task.space,
            options.sampler,
            options.seed,
            task.references,
            accepts,
            past,
            milestones=task.milestones,
            metric=task.metric,
        )
        beside = references.to_train(task, options.seed) if options.references else []
        total = options.num_samples + len(beside)
        most = min(options.max_concurrent or total, total)
        slots = min(resources.slots, most)
        folder = self._make_folder()
        (folder / "conf.yaml").write_bytes(conf.find(options.task).read_bytes())
        (folder / "requirements.txt").write_text(provenance.installed(), encoding="utf-8")
        log, history = EventLog(folder / FILE_NAME), History()
        history.apply(log.append("search", **self._facts(folder.name, uri, slots, dataset)))
        recorder = Recorder(folder, uri)
        recorder.start()
        progress = ProgressView(history, task, total, slots, top_k=options.top_k, quiet=options.quiet)
        for warning in dataset.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        progress.say(
            f"{folder.name}: {total} trials of at most {task.epochs} epochs, {slots} at a time; {dataset.origin}"
        )
        for search in self.warm:
            progress.say(f"warm start: {search}")
        driver = Driver(
            task,
            log,
            history,
            proposer,
            num_samples=options.num_samples,
            seed=options.seed,
            top_k=options.top_k,
            beside=beside,
            budgets=Budgets(options.time_budget, options.epoch_budget, options.target, self.session.began),
            on_event=progress.update,
        )
        plan = Plan(
            epochs=task.epochs,
            patience=task.patience,
            metric=task.metric,
            milestones=task.milestones,
            pauses=driver.rungs.pauses,
            cpus=resources.cpus,
            gpus=resources.gpus,
        )
        finish = Finish(task, dataset, folder, log, history, recorder, self.session.began, options.register)
        try:
            with closing(proposer):
                self.session.train(driver, dataset, plan, folder, most, progress)
            if selected := select(history.trials.values(), task.metric, options.top_k):
                progress.say(f"testing {len(selected)} checkpoints")
                finish.test(selected, "search", resources.cpus, resources.gpus)
        finally:  # whatever breaks, what is there is written down
            finish.record(interrupted=self.session.interruptions > 0)
        finish.show(json=options.json)
        if driver.failure:
            print(driver.failure.traceback, file=sys.stderr, end="")
            print(f"error: the first trials all ended with {driver.failure.reason}", file=sys.stderr)
        if self.session.interruptions:
            return INTERRUPTED
        return 0 if any(test["chosen"] == "winner" for test in history.tests) else 1

    def _facts(self, name: str, uri: str, slots: int, dataset: "Dataset") -> dict[str, Any]:
        """What the log says of the search itself."""
        from search.provenance import git_state, installed_versions

        assert dataset.test is not None
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
            "slots": slots,
            "warm_starts": [search.facts for search in self.warm],
            "conf": self.task.resolved,
            "metric": self.task.metric,
            "milestones": list(self.task.milestones),
            "tracking_uri": uri,
            "experiment": self.task.name,
            "dataset_digest": dataset.digest(),
            "dataset_origin": dataset.origin,
            "dataset_warnings": list(dataset.warnings),
            "dataset_sizes": {
                "development": len(dataset.development),
                "folds": [[len(fold.train), len(fold.val)] for fold in dataset.folds],
                "test": len(dataset.test),
                "input_shape": list(dataset.input_shape),
            },
            "classes": list(dataset.classes),
            "git_commit": commit,
            "git_dirty": dirty,
            "versions": installed_versions(),
        }


def _wanted(task: Task, options: Options) -> "Wanted":
    """Published weights that trials of the search may begin from."""
    from search.reading import weights_of, weights_of_space

    beside = [reference.config for reference in task.references] if options.references else []
    return {**weights_of(beside), **weights_of_space(task)}


def _at_most(parameters: int, dataset: "Dataset") -> "Callable[[Config], bool]":
    """Whether a configuration's model has at most so many trainable parameters."""
    from trainables.models import parameter_count
    from trainables.recipe import split_settings

    known: dict[str, bool] = {}

    def small_enough(model: str, keywords: dict[str, Any]) -> bool:
        try:
            return parameter_count(model, dataset.input_shape, len(dataset.classes), keywords) <= parameters
        except Exception:  # it can't be built: its trial will say why
            return True

    def accepts(config: "Config") -> bool:
        model, keywords, _ = split_settings(config)
        key = json.dumps([model, keywords])
        if key not in known:
            known[key] = small_enough(model, keywords)
        return known[key]

    return accepts


if __name__ == "__main__":
    sys.exit(main())

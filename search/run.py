"""``python -m search.run TASK``: one search, from the command line to the tested winner."""

import errno
import itertools
import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from datasets.command_line import INTERRUPTED, guarded
from datasets.errors import UserError, no_space
from search import beginning, cli, conf, dry_run, place, resuming, warm_start
from search.cli import Options
from search.events import FILE_NAME, EventLog, read
from search.history import History
from search.place import Place
from search.resuming import Earlier
from search.session import Resources, Session
from search.task import Task
from search.warm_start import WarmStart

if TYPE_CHECKING:
    from datasets import Dataset
    from search.proposer import Proposer

REMOVAL_SECONDS = 30.0
"""How long the end of a search waits until what it no longer needs is removed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        The exit code: 0, 1 where no trial gave a result, 2 for a mistake of the user's, 130 where interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    return guarded(lambda: _run(arguments))


def _run(arguments: Sequence[str]) -> int:
    options = cli.parse(arguments)
    earlier = None
    if options.resume is not None:
        earlier = resuming.load(options)
        options = resuming.options(arguments, options, earlier)
    names = ("epochs", "metric", "scheduler", "grace", "reduction_factor")
    changed = {name: value for name in names if (value := getattr(options, name)) is not None}
    task = conf.load(options.task, changed, options.set, options.model)
    if options.references and not task.references:
        raise UserError(f"--references: {conf.find(options.task)} has none")
    if earlier:
        earlier.check(task)
    warm = warm_start.load(options.warm_start, options.runs_dir, task)
    if options.dry_run:
        dry_run.show(task, options, warm, earlier)
        return 0
    return Search(task, options, warm, earlier, ["python", "-m", "search.run", *arguments]).run()


class Search:
    """One search; its steps in their order."""

    def __init__(
        self, task: Task, options: Options, warm: Sequence[WarmStart], earlier: Earlier | None, command: Sequence[str]
    ) -> None:
        """``earlier``: what it goes on from, if it does."""
        self.task, self.options, self.warm, self.earlier = task, options, warm, earlier
        self.command = shlex.join(command)
        self.folder = earlier.folder if earlier else None
        """Where its log is, once it has one."""

    def run(self) -> int:
        """Everything, from the checks to the report.

        Raises:
            UserError: a mistake, or a full disk: what was reported by then is kept.
        """
        try:
            return self._run()
        except Exception as error:
            if (full := no_space(error)) is None or self.folder is None:
                raise
            raise UserError(
                f"{full.filename or self.folder}: no space left; what was reported until then is kept: make room, then "
                f"go on: {self._to_go_on(self.folder.name)}"
            ) from None

    def _to_go_on(self, name: str) -> str:
        """The command that goes on with this search."""
        places = {"--storage": self.options.storage, "--runs-dir": str(self.options.runs_dir)}
        given = [(option, at) for option, at in places.items() if at not in (None, "runs")]
        return shlex.join(["python", "-m", "search.run", self.options.task, "--resume", name, *itertools.chain(*given)])

    def _run(self) -> int:
        self._check_place()
        uri = self._check_tracking()
        task, options = self.task, self.options
        from search.reading import wanted

        weights = wanted(task, references=options.references)
        self.session = Session(task, options.data_root, options.ray_address, weights, uri)
        with ExitStack() as at_end:
            log, history, kept = None, History(), None
            if self.earlier:  # from here on nobody else adds to its log
                log = at_end.enter_context(closing(EventLog(self.earlier.folder / FILE_NAME, resume=True)))
                history = History(read(log.path))
                kept = at_end.enter_context(place.opened(log.path.parent, options.storage))
            dataset = at_end.enter_context(self.session.opened())
            warm_start.check_data(self.warm, dataset, task)
            if self.earlier:
                self.earlier.check(task, dataset.digest())
            resources = self.session.resources(options.cpus_per_trial, options.gpus_per_trial)
            place.check_nodes(options.storage, options.runs_dir, resources.cpus, resources.gpus)
            if log is None or kept is None:
                folder = beginning.make_folder(self.task, self.options)
                kept = at_end.enter_context(place.opened(folder, options.storage))
                slots = min(resources.slots, options.max_concurrent or sys.maxsize)
                # Takes a while, in which a log would be empty.
                facts = beginning.facts(folder.name, self.task, self.options, self.command, dataset, slots, uri)
                facts["warm_starts"] = [search.facts for search in self.warm]
                log = at_end.enter_context(closing(EventLog(folder / FILE_NAME)))
                history.apply(log.append("search", **facts))
                kept.keep_results(wait=False)
                self.folder = folder
            return self._search(uri, dataset, resources, log, history, kept)

    def _check_place(self) -> None:
        options = self.options
        place.check(options.storage, options.runs_dir)
        folder = place.root(options.storage, options.runs_dir) / (options.name or "")
        if options.name and not self.earlier and folder.exists():
            log = (folder / FILE_NAME).is_file()
            otherwise = f"go on with it: --resume {options.name}" if log else "remove it: it has no search"
            raise UserError(f"--name {options.name}: {folder} exists; choose another name, or {otherwise}")

    def _check_tracking(self) -> str:
        from search import tracking

        uri = self.options.tracking_uri or tracking.default_uri(self.options.runs_dir)
        tracking.check(uri)
        return uri

    def _search(
        self, uri: str, dataset: "Dataset", resources: Resources, log: EventLog, history: History, kept: Place
    ) -> int:
        from search import references
        from search.budgets import Budgets
        from search.confirmation import SHARE, Confirm, selected
        from search.driver import Driver
        from search.finish import Finish
        from search.progress import ProgressView
        from search.recorder import Recorder
        from search.removing import Remover
        from search.retention import Retention
        from trainables.trial import Plan

        task, options = self.task, self.options
        proposer = self._proposer(dataset, history)
        there = {trial.origin for trial in history.trials.values() if trial.apart == "reference"}
        beside = references.to_train(task, options.seed) if options.references else []
        beside = [reference for reference in beside if reference.origin not in there]
        total = options.num_samples + len(beside) + len(there)
        confirm = Confirm(options.confirm, options.confirm_seeds, dataset.resplits) if options.confirm else None
        most = options.max_concurrent or total + options.confirm * options.confirm_seeds
        slots = min(resources.slots, most)
        folder = kept.folder
        remover = Remover(kept.storage)
        recorder = Recorder(folder, uri)
        recorder.start()
        progress = ProgressView(history, task, total, slots, top_k=options.top_k, quiet=options.quiet)
        for warning in dataset.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        driver = Driver(
            task,
            log,
            history,
            proposer,
            num_samples=options.num_samples,
            seed=options.seed,
            top_k=options.top_k,
            beside=beside,
            confirm=confirm,
            budgets=Budgets(
                options.time_budget,
                options.epoch_budget,
                options.target,
                self.session.began,
                to_confirm=SHARE / (1 + SHARE) if confirm else 0.0,
            ),
            retention=Retention(
                history,
                task.metric,
                top_k=options.top_k,
                keep=options.keep,
                budget=options.disk_budget,
                remove=remover.remove,
            ),
            say=progress.say,
            on_event=progress.update,
        )
        if self.earlier:
            driver.resume(command=self.command, options=beginning.written(self.options), tracking_uri=uri, slots=slots)
            remover.tidy(history)
            counts = ", ".join(f"{count} {state}" for state, count in sorted(history.counts().items()))
            progress.say(f"{folder.name}: goes on with {counts}, to {total} trials, {slots} at a time")
        else:
            progress.say(
                f"{folder.name}: {total} trials of at most {task.epochs} epochs, {slots} at a time; {dataset.origin}"
            )
        for search in self.warm:
            progress.say(f"warm start: {search}")
        plan = Plan(
            epochs=task.epochs,
            patience=task.patience,
            metric=task.metric,
            milestones=task.milestones,
            pauses=driver.rungs.pauses,
            cpus=resources.cpus,
            gpus=resources.gpus,
        )
        began = self.session.began
        finish = Finish(task, dataset, kept, log, history, recorder, began, options.register, progress.say)
        try:
            with closing(proposer):
                self.session.train(driver, dataset, plan, kept, most, progress)
            if kept.taken:
                raise UserError(f"{kept.problem}: this command has ended")
            if driver.stop and driver.stop.by == "disk full":
                raise OSError(errno.ENOSPC, driver.stop.reason, driver.stop.reason.partition(": ")[0])
            while chosen := selected(history, task.metric, options.top_k):
                if finish.tested(chosen):  # by the command that this one goes on from
                    break
                progress.say(f"testing {len(chosen)} checkpoints")
                if finish.test(chosen, "search", resources.cpus, resources.gpus):
                    break
        finally:  # whatever breaks, what is there is written down, unless it is for want of room
            if not remover.finish(history, REMOVAL_SECONDS):
                problem = remover.problem or "the storage is slow"
                progress.say(f"warning: not all checkpoints that nothing needs are removed: {problem}")
            if no_space(sys.exception()) is None:
                finish.record(interrupted=self.session.interruptions > 0)
        finish.show(json=options.json)
        if driver.failure:
            print(driver.failure.traceback, file=sys.stderr, end="")
            print(f"error: the first trials all ended with {driver.failure.reason}", file=sys.stderr)
        if self.session.interruptions:
            return INTERRUPTED
        return 0 if any(test["chosen"] == "winner" for test in history.tests) else 1

    def _proposer(self, dataset: "Dataset", history: History) -> "Proposer":
        from search.model_size import at_most
        from search.proposer import Proposer
        from search.study import frozen_trials

        task = self.task
        return Proposer(
            task.space,
            self.options.sampler,
            self.options.seed,
            task.references,
            at_most(task.max_parameters, dataset) if task.max_parameters else None,
            [trial for search in self.warm for trial in search.trials],
            frozen_trials(history, task.space),
            milestones=task.milestones,
            metric=task.metric,
        )


if __name__ == "__main__":
    sys.exit(main())

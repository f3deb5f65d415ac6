"""``python -m search.train NAME --trial ID --epochs N``: trains one trial of a search again, longer or shorter."""

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from datasets.command_line import INTERRUPTED, Parser, guarded
from datasets.errors import UserError
from search import cli
from search.session import Session


@dataclass(frozen=True)
class Options:
    """One call of ``search.train``."""

    name: str
    trial: int
    epochs: int
    gpus_per_trial: float | None
    cpus_per_trial: float
    data_root: Path | None
    runs_dir: Path
    ray_address: str | None
    quiet: bool
    json: bool


def parser() -> Parser:
    """The parser; its errors are ``UserError``."""
    result = Parser(
        prog="python -m search.train",
        description="Train the configuration of one trial again, from its seed, for a number of epochs that its "
        "schedule is made for, without early stopping; test it, and record both in the same search.",
        allow_abbrev=False,
    )
    add = result.add_argument
    add("name", metavar="NAME", help="the search's name, a folder of the runs folder")
    add("--trial", type=cli.number(int, 0, "a trial's number"), required=True, metavar="ID", help="the trial")
    add("--epochs", type=cli.COUNT, required=True, metavar="N", help="epochs to train")
    cli.add_resources(result)
    cli.add_data_root(result)
    cli.add_runs_dir(result)
    cli.add_ray_address(result)
    add("--quiet", action="store_true", help="no progress, only the result")
    add("--json", action="store_true", help="print summary.json instead of the table")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        The exit code: 0, 1 where the training gave no result, 2 for a mistake of the user's, 130 where interrupted.
    """
    return guarded(lambda: _train(sys.argv[1:] if arguments is None else arguments))


def _train(arguments: Sequence[str]) -> int:
    options = Options(**vars(parser().parse_args(arguments)))
    from search import place, results, tracking
    from search.beside import Beside
    from search.driver import Driver
    from search.events import FILE_NAME, EventLog
    from search.finish import Finish
    from search.progress import ProgressView
    from search.reading import weights_of
    from search.recorder import Recorder
    from search.selection import Selected
    from trainables.trial import Plan

    folder = results.load(options.name, options.runs_dir).folder
    with closing(EventLog(folder / FILE_NAME, resume=True)) as log:  # from here on nobody else adds to the history
        found = results.load(options.name, options.runs_dir)
        history, task = found.history, found.task
        trial = history.trials.get(options.trial)
        if trial is None:
            raise UserError(f"--trial {options.trial}: {options.name} has trials 0 to {len(history.trials) - 1}")
        facts = history.search
        tracking.check(facts["tracking_uri"])
        session = Session(
            task, options.data_root, options.ray_address, weights_of([trial.config]), facts["tracking_uri"]
        )
        with place.opened(folder, facts["options"].get("storage")) as kept, session.opened() as dataset:
            if dataset.digest() != facts["dataset_digest"]:
                raise UserError(
                    f"{options.name}: the data of {task.name} ({dataset.origin}) are not those it was searched on; "
                    "name the data root that it had"
                )
            resources = session.resources(options.cpus_per_trial, options.gpus_per_trial)
            recorder = Recorder(folder, facts["tracking_uri"])
            recorder.start()
            number = len(history.trials)
            progress = ProgressView(history, replace(task, epochs=options.epochs), number + 1, 1, quiet=options.quiet)
            again = Beside("again", f"trial {trial.id}", trial.config, options.epochs, options.epochs, trial.seed)
            driver = Driver(
                task, log, history, None, num_samples=0, seed=facts["seed"], beside=[again], on_event=progress.update
            )
            plan = Plan(
                epochs=options.epochs,
                patience=options.epochs,
                metric=task.metric,
                cpus=resources.cpus,
                gpus=resources.gpus,
            )
            finish = Finish(task, dataset, kept, log, history, recorder, session.began)
            try:
                session.train(driver, dataset, plan, kept, 1, progress)
                trained = history.trials.get(number)
                if trained and trained.checkpoint:
                    progress.say("testing 1 checkpoint")
                    why = f"trial {trial.id} trained again"
                    finish.test([Selected(trained, "again")], why, resources.cpus, resources.gpus)
            finally:
                finish.record(interrupted=session.interruptions > 0)
            finish.show(json=options.json)
    if session.interruptions:
        return INTERRUPTED
    return 0 if any(test["trial"] == number for test in history.tests) else 1


if __name__ == "__main__":
    sys.exit(main())

"""A search's trials as Optuna has them; ``python -m search.study NAME`` writes them as a study that its tools open."""

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FixedTrial, FrozenTrial, TrialState, create_trial

from datasets.command_line import Parser, guarded
from datasets.errors import UserError
from search import cli, results
from search.endings import told
from search.history import History, TrialResult
from search.results import Results
from search.space import Config, Space, parameters_at, propose
from trainables.epoch import cost, cost_name

FILE_NAME = "study.journal"


def frozen_trials(history: History, space: Space) -> dict[int, FrozenTrial]:
    """The trials that count, by number, as ``endings.told`` says; those that the space does not have are left out.

    Values are costs (see ``trainables.epoch.cost``), intermediate ones the best so far at each rung that was reached.
    The user attributes have our number, state, reason, origin and checkpoint.
    """
    found = {}
    for trial in history.searched():
        parameters = parameters_at(space, trial.config)
        if parameters is not None:
            found[trial.id] = frozen_trial(trial, space, parameters, history.metric)
    return found


def frozen_trial(trial: TrialResult, space: Space, parameters: Config, metric: str) -> FrozenTrial:
    """One of them, of these Optuna parameters."""
    as_told = told(trial.state, trial.missed_rung)
    state, value = TrialState[as_told.optuna], trial.cost(metric)
    rungs: dict[int, float] = {}
    if as_told.curve:
        rungs = {epoch: cost(best, metric) for epoch, best in trial.at_rungs.items()}
        if trial.missed_rung is not None and value is not None:
            rungs[trial.missed_rung] = value
    if state is not TrialState.COMPLETE:  # as Optuna's own tell has it
        value = rungs[max(rungs)] if rungs and state is TrialState.PRUNED else None
    names = ("state", "reason", "origin", "checkpoint")
    attributes = {"number": trial.id, **{name: getattr(trial, name) for name in names}}
    frozen = trial_at(space, parameters, state, value=value, intermediate_values=rungs, user_attrs=attributes)
    frozen.datetime_start = datetime.fromtimestamp(trial.proposed)
    if state.is_finished():
        last = trial.spans[-1][1] if trial.spans else trial.proposed
        frozen.datetime_complete = datetime.fromtimestamp(last if trial.ended is None else trial.ended)
    return frozen


def trial_at(space: Space, parameters: Config, state: TrialState, **more: Any) -> FrozenTrial:
    """A trial at a point of the space, with its distributions. ``more`` goes to ``optuna.trial.create_trial``."""
    fixed = FixedTrial(parameters)
    propose(space, fixed)
    return create_trial(state=state, params=fixed.params, distributions=fixed.distributions, **more)


def write(found: Results, path: Path) -> int:
    """Writes a search as a study of its name into an Optuna journal, whole or not at all, in the place of any there.

    Returns:
        How many trials it has.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trials = frozen_trials(found.history, found.task.space).values()
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    try:
        journal = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(part)))
        study = optuna.create_study(storage=journal, study_name=found.history.search["name"], direction="minimize")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names([cost_name(found.history.metric)])
        study.add_trials(trials)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return len(trials)


@dataclass(frozen=True)
class Options:
    """One call of ``search.study``."""

    name: str
    out: Path | None
    runs_dir: Path


def parser() -> Parser:
    """The parser; its errors are ``UserError``."""
    result = Parser(
        prog="python -m search.study",
        description="Write a search as an Optuna study, for optuna-dashboard and Optuna's own evaluations: its trials "
        "as the sampler was told of them, their best values at the rungs, and how they ended.",
        allow_abbrev=False,
    )
    add = result.add_argument
    add("name", metavar="NAME", help="the search's name, a folder of the runs folder, or the path of its folder")
    add("--out", type=Path, metavar="FILE", help=f"the file to write (default: {FILE_NAME} in the search's folder)")
    cli.add_runs_dir(result)
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        The exit code: 0, 2 for a mistake of the user's, 130 where interrupted.
    """
    return guarded(lambda: _write(sys.argv[1:] if arguments is None else arguments))


def _write(arguments: Sequence[str]) -> int:
    options = Options(**vars(parser().parse_args(arguments)))
    found = results.load(options.name, options.runs_dir)
    out = options.out or found.folder / FILE_NAME
    if not out.parent.is_dir():
        raise UserError(f"--out {out}: no folder {out.parent}")
    try:
        count = write(found, out)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror})") from None
    print(f"wrote {count} trials of {found.history.search['name']}; see them with: optuna-dashboard {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

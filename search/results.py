"""Reading a search's results from code.

from search import results

digits = results.load("digits-20261121-040000")
digits.trials.sort_values("val_loss")   # pandas: a row a trial, a column a setting
model = digits.winner()                 # torch: inputs to class probabilities
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.errors import UserError
from search import events
from search.history import History
from search.summary import TEST_FIELDS, trial_row
from search.task import Task
from search.validation import Validator

if TYPE_CHECKING:
    import pandas as pd

    from trainables.models import Ensemble

BEST_FILE = "best.pt"


@dataclass(frozen=True)
class Results:
    """What a search's folder holds; also of a search that still runs, or that was cut off, as far as it came."""

    folder: Path
    history: History

    @cached_property
    def task(self) -> Task:
        """What was searched.

        Raises:
            UserError: something in its conf is not valid any more.
        """
        validator = Validator(str(self.folder))
        return validator.task(self.history.search["task"], validator.shaped(self.history.search["conf"]))

    @cached_property
    def trials(self) -> "pd.DataFrame":
        """A row a trial, indexed by its number: fate, best figures (nats; shares), a column for every setting."""
        import pandas as pd

        rows = [trial_row(trial) for trial in self.history.trials.values()]
        settings = [{key: value for key, value in row.pop("config").items() if key != "model"} for row in rows]
        return pd.DataFrame([row | config for row, config in zip(rows, settings, strict=True)]).set_index("id")

    @cached_property
    def epochs(self) -> "pd.DataFrame":
        """A row an epoch of a trial, indexed by both, with the figures of ``trainables.epoch.Epoch``."""
        import pandas as pd

        rows = [{"trial": trial.id, **epoch} for trial in self.history.trials.values() for epoch in trial.curve]
        return pd.DataFrame(rows).rename(columns={"index": "epoch"}).set_index(["trial", "epoch"])

    @cached_property
    def tests(self) -> "pd.DataFrame":
        """A row a tested checkpoint, in the order of testing, with the number of the opening of the test split."""
        import pandas as pd

        rows: list[dict[str, Any]] = [{name: test[name] for name in TEST_FIELDS} for test in self.history.tests]
        return pd.DataFrame(rows, columns=list(TEST_FIELDS))

    def winner(self) -> "Ensemble":
        """The winner with its best weights, on the CPU in evaluation mode: inputs as the dataset has them to class
        probabilities, shape (examples, classes); ``.classes`` has their names.

        Raises:
            UserError: the search has none.
        """
        from trainables.training import ensemble, load_checkpoint

        if not (self.folder / BEST_FILE).is_file():
            raise UserError(f"{self.folder}: has no winner: no trial of it was tested")
        return ensemble(load_checkpoint(self.folder / BEST_FILE))


def load(name: str, runs_dir: str | Path = "runs") -> Results:
    """The results of a search by its name, or by the path of its folder.

    Raises:
        UserError: the runs folder has no such search.
    """
    places = (Path(runs_dir) / name, Path(name))
    folder = next((place for place in places if (place / events.FILE_NAME).is_file()), None)
    if folder is None:
        names = sorted(path.parent.name for path in Path(runs_dir).glob(f"*/{events.FILE_NAME}"))
        has = f"it has {', '.join(names[-5:])}" if names else "it has none"
        raise UserError(f"no search {name} in {runs_dir}: {has}")
    history = History(events.read(folder / events.FILE_NAME))
    if not history.search:
        raise UserError(f"{folder}: was cut off before the search began; nothing was lost, remove the folder")
    return Results(folder, history)

"""A search that goes on from any event of its log, played without Ray."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from closed_form import Scripted
from driving import message

from search import conf, confirmation, events
from search.beside import Beside
from search.budgets import Budgets
from search.confirmation import Confirm
from search.driver import Driver
from search.events import EventLog
from search.history import History

EPOCHS, SAMPLES = 9, 7
LEVELS = [0.9, 0.3, 0.5, 0.8, 0.2, 0.7, 0.4, 0.6, 0.1]
CONFIGS = [{"level": level} for level in LEVELS]
REFERENCE = Beside("reference", "by hand", {"model": "mlp", "level": 0.45}, 5, 99, 3)
ENDINGS = {4: (7, "converged"), 5: (2, "diverged"), 6: (4, "failed")}
"""By the place of a configuration, how its trial ends and after which epoch."""


class Play:
    """Two workers that train closed forms for a driver, in an order drawn from a seed."""

    def __init__(self, folder: Path, samples: int = SAMPLES, scheduler: str = "asha", **options: Any) -> None:
        path = folder / events.FILE_NAME
        resume = path.exists()
        self.log, self.history = EventLog(path, resume=resume), History(events.read(path) if resume else ())
        task = conf.load("digits", {"epochs": EPOCHS, "grace": 1, "scheduler": scheduler}, [])
        there = any(trial.apart == "reference" for trial in self.history.trials.values())
        self.driver = Driver(task, self.log, self.history, Scripted(CONFIGS[:1] + CONFIGS), num_samples=samples, seed=0,  # type: ignore[arg-type]
                             top_k=2, beside=[] if there else [REFERENCE], **options)  # fmt: skip
        if resume:
            self.driver.resume(command="", options={}, slots=2)
        else:
            self.history.apply(self.log.append("search", milestones=task.milestones, metric="val_loss", slots=2))

    def run(self, chance: random.Random) -> History:
        busy: list[Iterator[None]] = []
        while True:
            while len(busy) < 2 and (proposal := self.driver.propose()):
                busy.append(self.stay(proposal))
            if not busy:
                break
            worker = chance.choice(busy)
            if next(worker, "left") == "left":
                busy.remove(worker)
        self.driver.end()
        self.log.close()
        return self.history

    def stay(self, proposal: dict[str, Any]) -> Iterator[None]:
        """A trial on a worker: a report an epoch, each with a checkpoint of that epoch."""
        number, driver = proposal["trial"], self.driver
        place = number - 1 if number else None
        last, ending = ENDINGS.get(place, (proposal.get("epochs", EPOCHS), "completed"))  # type: ignore[arg-type]
        epoch = int(proposal.get("checkpoints", ["0"])[-1])
        while epoch < last:
            yield
            epoch += 1
            ends = ending if epoch == last else None
            report = message(number, [epoch], proposal["config"]["level"] + 1 / epoch, ends)
            leaves = driver.report(report)
            driver.checkpoint(number, str(epoch), report["best"])
            if leaves or driver.judge(report):
                break
        driver.left(number)


def whole(tmp_path: Path, **options: Any) -> list[str]:
    """The lines of a search that nothing disturbs."""
    tmp_path.mkdir(exist_ok=True)
    Play(tmp_path, **options).run(random.Random(1))
    return (tmp_path / events.FILE_NAME).read_text().splitlines(keepends=True)


def check(history: History, samples: int = SAMPLES) -> None:
    trials = history.searched()
    assert len(trials) == samples
    assert not {trial.state for trial in history.trials.values()} & {"running", "paused", "cancelled"}
    for trial in history.trials.values():
        assert [epoch["index"] for epoch in trial.curve] == list(range(1, trial.epochs + 1))
    beside = [trial.state for trial in history.trials.values() if trial.apart]
    assert beside == ["completed"] * (1 + history.to_confirm)
    finished = [trial for trial in trials if trial.state in ("completed", "converged")]
    assert min(finished, key=lambda trial: trial.best["val_loss"]).config["level"] == min(LEVELS[:samples])  # type: ignore[index]


@pytest.mark.parametrize("scheduler", ["asha", "median", "none"])
def test_a_search_goes_on_from_any_event_to_the_same_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheduler: str
) -> None:
    monkeypatch.setattr(confirmation, "SHARE", 1.0)
    options: dict[str, Any] = {"scheduler": scheduler, "confirm": Confirm(1, 2, resplit=False)}
    lines = whole(tmp_path / "whole", **options)
    assert sum('"apart": "confirmation"' in line for line in lines) == 2
    reported = sum('"report"' in line for line in lines)
    for cut in range(1, len(lines) + 1):
        folder = tmp_path / f"{cut:03d}"
        folder.mkdir()
        torn = lines[cut][:20] if cut < len(lines) else ""
        (folder / events.FILE_NAME).write_text("".join(lines[:cut]) + torn)
        history = Play(folder, **options).run(random.Random(cut))
        check(history)
        again = (folder / events.FILE_NAME).read_text()
        assert again.startswith("".join(lines[:cut])), "what was logged stays"
        assert again.count('"report"') <= reported * 1.5
        assert History(events.read(folder / events.FILE_NAME)).counts() == history.counts()
        (best,) = confirmation.confirmed(history, "val_loss")
        assert (best.trial.config["level"], len(best.costs)) == (min(LEVELS[:SAMPLES]), 2)


def test_a_search_can_be_cut_off_time_and_again(tmp_path: Path) -> None:
    path, chance = tmp_path / events.FILE_NAME, random.Random(7)
    whole(tmp_path)
    for _ in range(30):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(lines[: chance.randrange(1, len(lines))]))
        Play(tmp_path).run(chance)
    check(History(events.read(path)))


def test_a_search_that_has_ended_takes_more_trials(tmp_path: Path) -> None:
    before = whole(tmp_path)
    finished = {line for line in before if '"ending"' in line and '"pruned"' not in line}
    history = Play(tmp_path, samples=9).run(random.Random(3))
    check(history, samples=9)
    after = (tmp_path / events.FILE_NAME).read_text().splitlines(keepends=True)
    assert after[: len(before)] == before
    assert {line for line in after[: len(before)] if '"ending"' in line and '"pruned"' not in line} == finished


def test_what_an_interruption_cancelled_goes_on(tmp_path: Path) -> None:
    play = Play(tmp_path)
    busy = [play.stay(proposal) for _ in range(2) if (proposal := play.driver.propose())]
    for worker in busy:
        next(worker)
    next(busy[0])  # the reference's first report, the other trial's is still to come
    play.driver.interrupted = True
    assert play.driver.stopping
    play.driver.end()
    play.log.close()
    assert {trial.state for trial in play.history.trials.values()} == {"cancelled"}
    history = Play(tmp_path).run(random.Random(0))
    check(history)
    assert history.stop is None


def test_budgets_count_what_was_spent(tmp_path: Path) -> None:
    lines = whole(tmp_path / "whole")
    spent = History(events.read(tmp_path / "whole" / events.FILE_NAME)).epochs_searched
    (tmp_path / events.FILE_NAME).write_text("".join(lines))
    history = Play(tmp_path, samples=9, budgets=Budgets(epochs=spent)).run(random.Random(0))
    assert history.stop is not None
    assert (history.stop["by"], len(history.searched())) == ("epoch budget", SAMPLES)

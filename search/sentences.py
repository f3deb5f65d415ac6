"""The sentences of a verdict, from a search's summary and the figures that ``search.verdict`` found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainables.epoch import cost

CHANCE = 0.05
"""A difference whose p value is not below may be chance."""
_ORDINALS = {1: "first", 2: "second", 3: "third"}
_UNLUCKY = {"failed": "failed", "oom": "ran out of memory", "diverged": "diverged"}


@dataclass(frozen=True)
class _Shares:
    """How shares are written: with as many decimals as their uncertainty leaves them."""

    decimals: int

    def percent(self, share: float) -> str:
        return f"{self._number(share)} %"

    def between(self, interval: Sequence[float]) -> str:
        low, high = interval
        return f"{self._number(low)} to {self._number(high)} %"

    def apart(self, difference: float) -> str:
        """``4.9 points under``; of no difference, ``the same as``."""
        if difference == 0:
            return "the same as"
        least = 10**-self.decimals
        size = self._number(abs(difference)) if 100 * abs(difference) >= least / 2 else f"less than {least:g}"
        return f"{size} points {'under' if difference < 0 else 'over'}"

    def _number(self, share: float) -> str:
        return f"{100 * share:.{self.decimals}f}"


def of_winner(summary: Mapping[str, Any], winner: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """All of them, the most important first; ``winner`` is its entry in the summary's ``test``."""
    low, high = winner["interval"]
    shares = _Shares(2 if high - low < 0.01 else 1)
    return [
        _result(winner, found, shares),
        *_promise(winner, found, shares),
        *_score(winner, found, shares, summary["metric"]),
        *_reported(winner, found, shares),
        *(_confirmed(summary["confirmed"], found, shares) if summary.get("confirmed") else _chosen_once(summary)),
        *_trainings(summary, found, shares),
        *_calibration(found),
    ]


def configuration(confirmed: Mapping[str, Any]) -> Mapping[str, Any]:
    """The winner's among those that were trained again."""
    rows: Sequence[Mapping[str, Any]] = confirmed["configurations"]
    return next(row for row in rows if row["trial"] == confirmed["winner"])


def without_winner(summary: Mapping[str, Any]) -> str:
    """Why there is none."""
    trials = [trial for trial in summary["trials"] if trial["apart"] is None]
    if not trials:
        return "There is no winner: the search ended before its first trial."
    unlucky = {text: sum(trial["state"] == state for trial in trials) for state, text in _UNLUCKY.items()}
    valued = [trial for trial in trials if trial["val_loss"] is not None]
    if not valued or (sum(unlucky.values()) == len(trials) and not summary["interrupted"]):
        each = ", ".join(f"{count} {text}" for text, count in unlucky.items() if count)
        return f"There is no winner: no trial of {len(trials)} left a model{f' ({each})' if each else ''}."
    leader = min(valued, key=lambda trial: (cost(trial, summary["metric"]), trial["val_loss"], trial["id"]))
    how = "the search was interrupted before" if summary["interrupted"] else "the search has not come to"
    return (
        f"There is no winner, as {how} the test; trial {leader['id']} led by validation, with an error of "
        f"{_Shares(1).percent(leader['val_error'])} there."
    )


def _p(value: float) -> str:
    """``p < 0.001``, ``p = 0.021``, ``p = 0.34``."""
    if value < 0.001:
        return "p < 0.001"
    return f"p = {value:.3f}" if value < 0.1 else f"p = {value:.2f}"


def _chance(p: float) -> str:
    return f"the difference {'is not' if p < CHANCE else 'may be'} chance ({_p(p)})"


def _result(winner: Mapping[str, Any], found: Mapping[str, Any], shares: _Shares) -> str:
    """The sentence."""
    guess, compared = found["guess"], found["compared"]
    error = f"test error is {shares.percent(winner['error'])} ({shares.between(winner['interval'])})"
    if found["learnt"] is False:
        return (
            f"Nothing was learnt: the winner's {error}, and always answering the most frequent class has "
            f"{shares.percent(guess['error'])}; {_chance(guess['p'])}."
        )
    if compared is None:
        return f"The winner's {error}; there is no reference to compare it with."
    where = shares.apart(compared["difference"])
    if compared["p"] is None:
        how = "reported of" if compared["source"] == "reported" else "that an earlier training gave of"
        return (
            f"The winner's {error}, {where} the {shares.percent(compared['error'])} {how} {compared['name']}; whether "
            "by chance cannot be said, as its predictions are not at hand."
        )
    chance = f"; {_chance(compared['p'])}" if compared["difference"] else ""
    return f"The winner's {error}, {where} the reference {compared['name']}{chance}."


def _promise(winner: Mapping[str, Any], found: Mapping[str, Any], shares: _Shares) -> list[str]:
    """Whether the test holds what validation had said."""
    promised, (low, high) = found["promised"], winner["interval"]
    if promised is None:
        return []
    if promised < low:
        return [f"The search had promised {shares.percent(promised)}."]
    end = "more than the test found" if promised > high else "with which the test agrees"
    return [f"The search had promised {shares.percent(promised)}, {end}."]


def _score(winner: Mapping[str, Any], found: Mapping[str, Any], shares: _Shares, metric: str) -> list[str]:
    """F1, where it was searched for, and why wrong answers alone do not decide then."""
    if metric != "val_f1":
        return []
    interval = " ({:.3f} to {:.3f})".format(*found["f1"]["interval"]) if found["f1"] else ""
    sentences = [f"Its macro-averaged F1, which was searched for, is {winner['f1']:.3f}{interval}."]
    guess = found["guess"]
    if found["learnt"] and guess["agreement"] is not None:
        sentences.append(
            "By its error alone it is not told from always answering the most frequent class "
            f"({shares.percent(guess['error'])}), but its answers go with the classes ({_p(guess['agreement'])})."
        )
    return sentences


def _reported(winner: Mapping[str, Any], found: Mapping[str, Any], shares: _Shares) -> list[str]:
    """The best figure reported, where the first sentence has another one."""
    reported, compared = found["reported"], found["compared"]
    if reported is None or (compared["source"] == "reported" and found["learnt"] is not False):
        return []
    where = shares.apart(winner["error"] - reported["error"])
    figure = f"{shares.percent(reported['error'])} of {reported['name']}"
    return [f"Its test error is {where} the best reported figure, {figure}."]


def _chosen_once(summary: Mapping[str, Any]) -> list[str]:
    """What the choice by one training cannot know."""
    why = f" ({summary['not_confirmed']})" if summary.get("not_confirmed") else ""
    unknown = "whether it led by what it is or by the luck of that training, and what another would give"
    return [f"Its configuration was trained only once{why}: {unknown}, cannot be said."]


def _confirmed(confirmed: Mapping[str, Any], found: Mapping[str, Any], shares: _Shares) -> list[str]:
    """What the search saw, beside what fresh trainings gave; and whether they changed the winner."""
    row, metric = configuration(confirmed), confirmed["metric"]

    def text(value: float) -> str:
        return shares.percent(value) if metric == "val_error" else f"{value:.4f}"

    what = {"val_loss": "loss", "val_error": "error", "val_f1": "F1"}[metric]
    several = len(row["values"]) > 1
    seeds = f"{len(row['values'])} fresh seeds" if several else "a fresh seed"
    average = " on average" * several
    interval = ""
    if row["interval"]:
        low, high = row["interval"]
        interval = f" ({shares.between((low, high)) if metric == 'val_error' else f'{low:.4f} to {high:.4f}'})"
    costs = [cost({metric: value}, metric) for value in row["values"]]
    best = ", better than any of them" * (several and cost({metric: row["searched"]}, metric) < min(costs))
    start = f"Trained again with {seeds}, its configuration has a validation {what} of {text(row['mean'])}"
    sentences = [f"{start}{average}{interval}; the search had seen {text(row['searched'])}{best}."]
    if metric != "val_error":
        mean, searched = (shares.percent(row["val_error"][name]) for name in ("mean", "searched"))
        sentences.append(f"Its validation error is {mean}{average}; the search had seen {searched}.")
    leader = found["leader"]
    if leader["trial"] != confirmed["winner"]:
        place = _ORDINALS.get(leader["place"], f"{leader['place']}th")
        sentences.append(
            f"Trial {leader['trial']}, which led the search, came {place} when trained again; the winner is the "
            f"configuration of trial {confirmed['winner']}."
        )
    if confirmed["note"]:
        sentences.append(f"There are fewer trainings than asked for: {confirmed['note']}.")
    return sentences


def _trainings(summary: Mapping[str, Any], found: Mapping[str, Any], shares: _Shares) -> list[str]:
    """Test errors of all trainings of the winner's configuration, and of their mean probabilities."""
    sentences = []
    if seeds := found["seeds"]:
        errors = seeds["errors"]
        low, high = shares.percent(min(errors)), shares.percent(max(errors))
        spread = f"{shares.between((min(errors), max(errors)))}, {shares.percent(seeds['mean'])} on average"
        sentences.append(
            f"The test errors of its {len(errors)} trainings are {f'all {low}' if low == high else spread}."
        )
    if ensemble := summary.get("ensemble"):
        error, interval = shares.percent(ensemble["error"]), shares.between(ensemble["interval"])
        sentences.append(f"Their probabilities averaged have {error} ({interval}).")
    return sentences


def _calibration(found: Mapping[str, Any]) -> list[str]:
    if found["ece"] is None:
        return []
    side = "is surer than it is right" if found["excess"] > 0 else "is right more often than it is sure"
    return [f"Its confidence is {100 * found['ece']:.1f} points off (expected calibration error): it {side}."]

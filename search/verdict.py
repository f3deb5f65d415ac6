"""What a search's figures say, in plain sentences, and the comparisons behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from search import statistics
from search.predictions import Predictions
from trainables.epoch import cost

CHANCE = 0.05
"""A difference whose p value is not below may be chance."""
_ORDINALS = {1: "first", 2: "second", 3: "third"}
_UNLUCKY = {"failed": "failed", "oom": "ran out of memory", "diverged": "diverged"}


def verdict(summary: Mapping[str, Any], predictions: Predictions | None) -> dict[str, Any]:
    """The verdict on a search, as JSON has it.

    Args:
        summary: the document of ``search.summary``, with ``confirmed``, ``not_confirmed`` and ``ensemble`` where the
            search is of a version that has them.
        predictions: of the test split; None where none were kept.

    Returns:
        ``sentences``, the most important first. Behind them, null where it is not known: ``trial`` (whose checkpoint
        was tested as the winner's), ``learnt`` (whether it is better than the best constant answer), ``guess`` (the
        constant answer's ``error`` and ``p``), ``compared`` (the best reference: ``name``, ``error``, ``source``, and
        with predictions of both ``difference``, the winner's error less its, ``interval`` and ``p``), ``promised``
        (validation error of the search's time), ``optimism`` (what the search-time value was better than the confirmed
        one: ``value`` in ``metric`` and ``val_error``), ``leader`` (the ``trial`` that led the search and its ``place``
        when trained again), ``seeds`` (test errors of the winner's trainings: ``errors``, ``mean``), ``f1`` (``value``,
        ``interval``), ``ece``, ``excess`` and ``bins`` (``statistics.Calibration``). Errors are shares of 0 to 1.
    """
    found: dict[str, Any] = dict.fromkeys(
        ("trial", "learnt", "guess", "compared", "promised", "optimism", "leader", "seeds", "f1", "ece", "excess",
         "bins")
    )  # fmt: skip
    winner = next((test for test in summary["test"] if test["chosen"] == "winner"), None)
    if winner is None:
        return {"sentences": [_without_winner(summary)], **found}
    found["trial"] = winner["trial"]
    low, high = winner["interval"]
    share = _Share(2 if high - low < 0.01 else 1)
    figures = _figures(predictions, winner["trial"])
    if predictions is not None and figures is not None:
        found |= _of_predictions(predictions, winner["trial"], figures, summary["metric"])
    found["compared"] = _compared(summary, predictions, figures, winner["error"])
    found["promised"] = _promised(summary, winner["trial"])
    found |= _of_confirmation(summary)
    sentences = [
        _first(winner, found, share),
        *_expected(winner, found, share),
        *_score(winner, found, summary["metric"]),
        *_reported(summary, winner, found, share),
        *_confirmation(summary, found, share),
        *_seeds(found, summary, share),
        *_calibration(found),
    ]
    return {"sentences": sentences, **found}


@dataclass(frozen=True)
class _Share:
    """How shares are written: with as many decimals as their uncertainty leaves them."""

    decimals: int

    def percent(self, share: float) -> str:
        return f"{100 * share:.{self.decimals}f} %"

    def between(self, interval: Sequence[float]) -> str:
        low, high = interval
        return f"{100 * low:.{self.decimals}f} to {100 * high:.{self.decimals}f} %"

    def points(self, difference: float) -> str:
        least = 10**-self.decimals
        return f"{100 * difference:.{self.decimals}f} points" if 100 * difference >= least else f"< {least:g} points"


def _p(value: float) -> str:
    """``p < 0.001``, ``p = 0.021``, ``p = 0.34``."""
    if value < 0.001:
        return "p < 0.001"
    return f"p = {value:.3f}" if value < 0.1 else f"p = {value:.2f}"


def _chance(p: float) -> str:
    return f"the difference is not chance ({_p(p)})" if p < CHANCE else f"the difference may be chance ({_p(p)})"


def _without_winner(summary: Mapping[str, Any]) -> str:
    """Why there is none."""
    trials = [trial for trial in summary["trials"] if trial["apart"] is None]
    if not trials:
        return "Nothing is known: the search ended before it had proposed a trial."
    unlucky = {text: count for state, text in _UNLUCKY.items()
               if (count := sum(trial["state"] == state for trial in trials))}  # fmt: skip
    if sum(unlucky.values()) == len(trials):
        each = ", ".join(f"{count} {text}" for text, count in unlucky.items())
        return f"There is no winner: none of {len(trials)} trials was trained to an end ({each})."
    valued = [trial for trial in trials if trial["val_loss"] is not None]
    if not valued:
        return "There is no winner: no trial has come to the end of an epoch."
    leader = min(valued, key=lambda trial: (cost(trial, summary["metric"]), trial["val_loss"], trial["id"]))
    why = "the search was interrupted before the test split was opened" if summary["interrupted"] else "nothing tested"
    return (
        f"There is no winner yet, as {why}; trial {leader['id']} leads with a validation error of "
        f"{_Share(1).percent(leader['val_error'])}, which is no test."
    )


def _figures(predictions: Predictions | None, trial: int) -> np.ndarray | None:
    """Which test examples a trial has wrong, bool (examples,)."""
    if predictions is None or trial not in predictions.predicted:
        return None
    return predictions.predicted[trial] != predictions.targets


def _of_predictions(predictions: Predictions, trial: int, wrong: np.ndarray, metric: str) -> dict[str, Any]:
    """What the winner's answers say by themselves."""
    targets, predicted = predictions.targets, predictions.predicted[trial]
    probabilities = predictions.probabilities[trial]
    classes = probabilities.shape[1]
    constant = targets != predictions.majority
    p = statistics.mcnemar(wrong, constant)
    learnt = bool(wrong.sum() < constant.sum() and p < CHANCE)
    guess = {"error": float(constant.mean()), "p": p, "agreement": None}
    if not learnt and metric == "val_f1":  # which may be worth more wrong answers: do predictions go with the classes?
        guess["agreement"] = statistics.agreement(predicted, targets, classes)
        learnt = guess["agreement"] < CHANCE
    calibration = asdict(statistics.calibration(probabilities, targets))
    f1 = asdict(statistics.macro_f1(predicted, targets, classes))
    return {"learnt": learnt, "guess": guess, "f1": f1 | {"interval": list(f1["interval"])}, **calibration}


def _compared(
    summary: Mapping[str, Any], predictions: Predictions | None, wrong: np.ndarray | None, error: float
) -> dict[str, Any] | None:
    """The best reference: of those with answers to the same examples, else trained on these data, else as reported."""
    if predictions is not None and wrong is not None and predictions.references:
        errors = {name: answers != predictions.targets for name, answers in predictions.references.items()}
        name = min(errors, key=lambda name: (int(errors[name].sum()), name))
        paired = statistics.difference(wrong, errors[name])
        return {"name": name, "error": float(errors[name].mean()), "source": "predictions",
                "difference": paired.value, "interval": list(paired.interval), "p": paired.p}  # fmt: skip
    rows = summary["references"]
    trained = {row["name"]: row["trained"]["error"] for row in rows if row["trained"]}
    for source, errors_of in (("trained", trained), ("reported", _reported_errors(summary))):
        if errors_of:
            name = min(errors_of, key=lambda name: (errors_of[name], name))
            return {"name": name, "error": errors_of[name], "source": source, "difference": error - errors_of[name],
                    "interval": None, "p": None}  # fmt: skip
    return None


def _reported_errors(summary: Mapping[str, Any]) -> dict[str, float]:
    return {row["name"]: row["reported"]["test_error"] for row in summary["references"]
            if (row["reported"] or {}).get("test_error") is not None}  # fmt: skip


def _of_winner(confirmed: Mapping[str, Any]) -> Mapping[str, Any]:
    row: Mapping[str, Any] = next(row for row in confirmed["configurations"] if row["trial"] == confirmed["winner"])
    return row


def _promised(summary: Mapping[str, Any], trial: int) -> float | None:
    """The validation error of the winner's configuration when the search chose it."""
    if confirmed := summary.get("confirmed"):
        searched: float | None = _of_winner(confirmed)["val_error"]["searched"]
        return searched
    return next((row["val_error"] for row in summary["trials"] if row["id"] == trial), None)


def _of_confirmation(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What training again showed."""
    confirmed = summary.get("confirmed")
    if not confirmed:
        return {}
    metric, row = confirmed["metric"], _of_winner(confirmed)
    again, searched = cost({metric: row["mean"]}, metric), cost({metric: row["searched"]}, metric)
    rows = confirmed["configurations"]
    leader = min(rows, key=lambda row: cost({metric: row["searched"]}, metric))
    tests = [test for test in summary["test"] if test["trial"] in row["trainings"]]
    errors = [test["error"] for test in tests if test["chosen"] in ("winner", "seed")]
    return {
        "optimism": {
            "metric": metric,
            "value": again - searched,
            "val_error": row["val_error"]["mean"] - row["val_error"]["searched"],
        },
        "leader": {"trial": leader["trial"], "place": rows.index(leader) + 1},
        "seeds": {"errors": errors, "mean": float(np.mean(errors))} if len(errors) > 1 else None,
    }


def _first(winner: Mapping[str, Any], found: Mapping[str, Any], share: _Share) -> str:
    """The sentence."""
    guess, compared = found["guess"], found["compared"]
    error = f"test error is {share.percent(winner['error'])} ({share.between(winner['interval'])})"
    if found["learnt"] is False:
        worse = winner["error"] > guess["error"] and guess["p"] < CHANCE
        return (
            f"Nothing was learnt: the winner's {error}, and always answering the most frequent class has "
            f"{share.percent(guess['error'])}; " + ("that is even better" if worse else _chance(guess["p"])) + "."
        )
    if compared is None:
        return f"The winner's {error}; there is no reference to compare it with."
    apart = compared["difference"]
    where = f"{share.points(abs(apart))} {'under' if apart < 0 else 'over'}" if apart else "the same as"
    if compared["p"] is not None:
        return f"The winner's {error}, {where} the reference {compared['name']}; {_chance(compared['p'])}."
    figure = {"trained": "that an earlier training here gave of", "reported": "reported of"}[compared["source"]]
    return (
        f"The winner's {error}, {where} the {share.percent(compared['error'])} {figure} {compared['name']}; "
        "whether by chance cannot be said, as its predictions are not at hand."
    )


def _expected(winner: Mapping[str, Any], found: Mapping[str, Any], share: _Share) -> list[str]:
    """Whether the test holds what validation had said."""
    promised, (low, high) = found["promised"], winner["interval"]
    if promised is None:
        return []
    if promised < low:
        return [f"The search had promised {share.percent(promised)}."]
    if promised > high:
        return [f"The search had expected {share.percent(promised)}, more than the test found."]
    return [f"The search had expected {share.percent(promised)}, and the test agrees."]


def _score(winner: Mapping[str, Any], found: Mapping[str, Any], metric: str) -> list[str]:
    """F1, where that was asked for; and why wrong answers alone do not decide then."""
    if metric != "val_f1":
        return []
    interval = f" ({found['f1']['interval'][0]:.3f} to {found['f1']['interval'][1]:.3f})" if found["f1"] else ""
    sentences = [f"Its macro-averaged F1, which the search was for, is {winner['f1']:.3f}{interval}."]
    guess = found["guess"]
    if found["learnt"] and guess["agreement"] is not None:
        sentences.append(
            f"By its error alone it is no better than always answering the most frequent class "
            f"({_Share(1).percent(guess['error'])}), but its answers go with the classes ({_p(guess['agreement'])})."
        )
    return sentences


def _reported(
    summary: Mapping[str, Any], winner: Mapping[str, Any], found: Mapping[str, Any], share: _Share
) -> list[str]:
    """The best figure reported elsewhere, where the first sentence has one from here."""
    errors, compared = _reported_errors(summary), found["compared"]
    if not errors or compared is None or compared["source"] == "reported":
        return []
    name = min(errors, key=lambda name: (errors[name], name))
    apart = winner["error"] - errors[name]
    side = f"{share.points(abs(apart))} {'under' if apart < 0 else 'over'}" if apart else "as good as"
    return [f"That is {side} the best figure reported elsewhere, {share.percent(errors[name])} of {name}."]


def _confirmation(summary: Mapping[str, Any], found: Mapping[str, Any], share: _Share) -> list[str]:
    confirmed = summary.get("confirmed")
    if not confirmed:
        why = summary.get("not_confirmed")
        return [
            f"Its configuration was trained just once{f' ({why})' if why else ''}: whether it leads by what it is or by "
            "the luck of that training, and how far another would be off, cannot be said."
        ]
    row, name, optimism = _of_winner(confirmed), confirmed["metric"].replace("val_", ""), found["optimism"]
    seeds = len(row["values"])
    interval = f" ({row['interval'][0]:.4f} to {row['interval'][1]:.4f})" if row["interval"] else ""
    mean, searched = row["mean"], row["searched"]
    what = "F1" if name == "f1" else name
    if name == "error":
        interval = f" ({share.between(row['interval'])})" if row["interval"] else ""
        texts = share.percent(mean), share.percent(searched)
    else:
        texts = f"{mean:.4f}", f"{searched:.4f}"
    if seeds == 1:
        start = f"Trained again with one fresh seed, its configuration has a validation {what} of {texts[0]}"
    else:
        start = (f"Trained again with {seeds} fresh seeds, its configuration has a validation {what} of {texts[0]} on "
                 f"average{interval}")  # fmt: skip
    lucky = "the search's figure was a lucky one" if optimism["value"] > 0 else "the search's figure was none too good"
    sentences = [f"{start}, where the search saw {texts[1]}: {lucky}."]
    if name != "error":
        errors = row["val_error"]
        sentences.append(
            f"Its validation error is {share.percent(errors['mean'])} on average, where the search saw "
            f"{share.percent(errors['searched'])}."
        )
    leader = found["leader"]
    if leader["trial"] != confirmed["winner"]:
        place = _ORDINALS.get(leader["place"], f"{leader['place']}th")
        sentences.append(
            f"Trial {leader['trial']}, which led the search, came {place} when trained again; the winner is trial "
            f"{confirmed['winner']}'s configuration."
        )
    if confirmed["note"]:
        sentences.append(f"Fewer trainings than asked for: {confirmed['note']}.")
    return sentences


def _seeds(found: Mapping[str, Any], summary: Mapping[str, Any], share: _Share) -> list[str]:
    """Test errors of the winner's other trainings, and of all together."""
    sentences = []
    if seeds := found["seeds"]:
        errors = seeds["errors"]
        sentences.append(
            f"The test errors of its {len(errors)} trainings are {share.between((min(errors), max(errors)))}, on "
            f"average {share.percent(seeds['mean'])}."
        )
    if ensemble := summary.get("ensemble"):
        sentences.append(
            f"The mean of their probabilities has {share.percent(ensemble['error'])} ({share.between(ensemble['interval'])})."
        )
    return sentences


def _calibration(found: Mapping[str, Any]) -> list[str]:
    if found["ece"] is None:
        return []
    side = "surer of itself than it is right" if found["excess"] > 0 else "right more often than it is sure"
    return [f"Its probabilities are off by {100 * found['ece']:.1f} points (expected calibration error): it is {side}."]

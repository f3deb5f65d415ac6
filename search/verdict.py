"""What a search's figures say: the comparisons, and the plain sentences that follow from them."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from search import sentences, statistics
from search.predictions import Predictions
from trainables.epoch import cost

_FIGURES = ("trial", "learnt", "guess", "compared", "reported", "promised", "optimism", "leader", "seeds", "f1", "ece",
            "excess", "bins")  # fmt: skip


def verdict(summary: Mapping[str, Any], predictions: Predictions | None) -> dict[str, Any]:
    """The verdict on a search, as JSON has it.

    Args:
        summary: the document of ``search.summary``, also of a version without ``confirmed`` or ``ensemble``.
        predictions: of the test split; None where none were kept.

    Returns:
        ``sentences``, the most important first, and the figures behind them, null where one is not known. Errors are
        shares of 0 to 1.

        - ``trial``: whose checkpoint was tested as the winner's.
        - ``learnt``: whether its error is below that of the best constant answer beyond chance or, where F1 was
          searched for, its predictions go with the classes beyond chance.
        - ``guess``: the constant answer's ``error``, ``p`` between it and the winner (McNemar), and ``agreement``, the
          p value of ``statistics.agreement`` where that decided.
        - ``compared``: the best reference: ``name``, ``error``, ``source`` ("predictions", "trained" or "reported"),
          ``difference`` (the winner's error less its) and, of predictions, its ``interval`` and ``p``.
        - ``reported``: the best figure reported of a reference: ``name``, ``error``.
        - ``promised``: the validation error of the winner's configuration when the search chose it.
        - ``optimism``: by how much the search-time value was better than the confirmed mean: ``metric``, ``value`` and
          ``val_error``, the same of the validation error.
        - ``leader``: the ``trial`` that led the search and its ``place`` when trained again.
        - ``seeds``: ``errors`` on the test split of the winner's trainings, and their ``mean``.
        - ``f1`` (``value``, ``interval``), ``ece``, ``excess`` and ``bins``: see ``search.statistics``.
    """
    found: dict[str, Any] = dict.fromkeys(_FIGURES)
    winner = next((test for test in summary["test"] if test["chosen"] == "winner"), None)
    if winner is None:
        return {"sentences": [sentences.without_winner(summary)], **found}
    trial, wrong = winner["trial"], None
    if predictions is not None and trial in predictions.predicted:
        wrong = predictions.predicted[trial] != predictions.targets
        found |= _of_answers(predictions, trial, wrong, summary["metric"])
    found |= _of_references(summary, predictions, wrong, winner["error"])
    found |= {"trial": trial, "promised": _promised(summary, trial), **_of_confirmation(summary)}
    return {"sentences": sentences.of_winner(summary, winner, found), **found}


def _of_answers(predictions: Predictions, trial: int, wrong: np.ndarray, metric: str) -> dict[str, Any]:
    """What the winner's answers say by themselves; ``wrong``: bool (examples,)."""
    targets, predicted = predictions.targets, predictions.predicted[trial]
    probabilities = predictions.probabilities[trial]
    classes = probabilities.shape[1]
    constant = targets != predictions.majority
    p, agreement = statistics.mcnemar(wrong, constant), None
    learnt = bool(wrong.sum() < constant.sum()) and p < sentences.CHANCE
    if not learnt and metric == "val_f1":  # which may be worth more wrong answers
        agreement = statistics.agreement(predicted, targets, classes)
        learnt = agreement < sentences.CHANCE
    f1 = statistics.macro_f1(predicted, targets, classes)
    return {
        "learnt": learnt,
        "guess": {"error": float(constant.mean()), "p": p, "agreement": agreement},
        "f1": {"value": f1.value, "interval": list(f1.interval)},
        **asdict(statistics.calibration(probabilities, targets)),
    }


def _of_references(
    summary: Mapping[str, Any], predictions: Predictions | None, wrong: np.ndarray | None, error: float
) -> dict[str, Any]:
    """The best of those with answers to the same examples, else trained on these data, else as reported."""
    rows = summary["references"]
    reported = _least({row["name"]: (row["reported"] or {}).get("test_error") for row in rows})
    trained = _least({row["name"]: row["trained"] and row["trained"]["error"] for row in rows})
    compared = None
    if predictions is not None and wrong is not None and predictions.references:
        errors = {name: answers != predictions.targets for name, answers in predictions.references.items()}
        best = _least({name: float(each.mean()) for name, each in errors.items()})
        assert best is not None
        paired = statistics.difference(wrong, errors[best["name"]])
        compared = {**best, "source": "predictions", "difference": paired.value, "interval": list(paired.interval),
                    "p": paired.p}  # fmt: skip
    elif best := trained or reported:
        compared = {**best, "source": "trained" if trained else "reported", "difference": error - best["error"],
                    "interval": None, "p": None}  # fmt: skip
    return {"compared": compared, "reported": reported}


def _least(errors: Mapping[str, float | None]) -> dict[str, Any] | None:
    known = [(error, name) for name, error in errors.items() if error is not None]
    return {"name": min(known)[1], "error": min(known)[0]} if known else None


def _promised(summary: Mapping[str, Any], trial: int) -> float | None:
    if confirmed := summary.get("confirmed"):
        searched: float | None = sentences.configuration(confirmed)["val_error"]["searched"]
        return searched
    return next((row["val_error"] for row in summary["trials"] if row["id"] == trial), None)


def _of_confirmation(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What training again showed."""
    confirmed = summary.get("confirmed")
    if not confirmed:
        return {}
    metric, row, rows = confirmed["metric"], sentences.configuration(confirmed), confirmed["configurations"]
    leader = min(rows, key=lambda row: cost({metric: row["searched"]}, metric))
    tests = [test for test in summary["test"] if test["trial"] in row["trainings"]]
    errors = [test["error"] for test in tests if test["chosen"] in ("winner", "seed")]
    return {
        "optimism": {
            "metric": metric,
            "value": cost({metric: row["mean"]}, metric) - cost({metric: row["searched"]}, metric),
            "val_error": row["val_error"]["mean"] - row["val_error"]["searched"],
        },
        "leader": {"trial": leader["trial"], "place": rows.index(leader) + 1},
        "seeds": {"errors": errors, "mean": float(np.mean(errors))} if len(errors) > 1 else None,
    }

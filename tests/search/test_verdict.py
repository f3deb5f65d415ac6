"""What searches' figures are said to say: summaries and predictions, and the exact sentences."""

import json
from typing import Any

import numpy as np
import pytest

from search.predictions import Predictions
from search.statistics import wilson
from search.verdict import verdict

EXAMPLES = 447
TARGETS = np.arange(EXAMPLES) % 10


def answers(wrong: int, offset: int = 0) -> np.ndarray:
    """Predicted classes, so many of them wrong, from an example on."""
    predicted = TARGETS.copy()
    predicted[offset : offset + wrong] = (predicted[offset : offset + wrong] + 1) % 10
    return predicted


def predictions(predicted: np.ndarray, targets: np.ndarray = TARGETS, **references: np.ndarray) -> Predictions:
    """Of trial 3, nine tenths sure of what it says."""
    probabilities = np.full((len(targets), 10), 0.1 / 9, np.float32)
    probabilities[np.arange(len(targets)), predicted] = 0.9
    named = {name.replace("_", " "): answers for name, answers in references.items()}
    return Predictions(targets, 0, {3: predicted}, {3: probabilities}, named)


def entry(trial: int, chosen: str, wrong: int, examples: int = EXAMPLES) -> dict[str, Any]:
    return {"trial": trial, "chosen": chosen, "error": wrong / examples, "interval": list(wilson(wrong, examples)),
            "f1": 0.987}  # fmt: skip


def trial(number: int, state: str = "completed", error: float | None = 0.0, **changes: Any) -> dict[str, Any]:
    return {"id": number, "state": state, "apart": None, "val_loss": error, "val_error": error, "val_f1": error,
            **changes}  # fmt: skip


def reference(name: str, reported: float | None = None, trained: float | None = None) -> dict[str, Any]:
    return {"name": name, "reported": None if reported is None else {"test_error": reported},
            "trained": None if trained is None else {"error": trained}}  # fmt: skip


def summary(*tests: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Of a search whose trial 3 won with 5 of 447 test examples wrong."""
    return {"metric": "val_loss", "test": list(tests) or [entry(3, "winner", 5)], "references": [],
            "trials": [trial(number) for number in range(4)], "interrupted": False, "confirmed": None,
            "not_confirmed": "--confirm 0", "ensemble": None, **changes}  # fmt: skip


def said(document: dict[str, Any], predicted: Predictions | None = None) -> list[str]:
    found = verdict(document, predicted)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    sentences: list[str] = found["sentences"]
    return sentences


WON = "The winner's test error is 1.1 % (0.5 to 2.6 %)"


@pytest.mark.parametrize(
    ("references", "sentence"),
    [
        ({}, "; there is no reference to compare it with."),
        ({"CNN": answers(27, 3)}, ", 4.9 points under the reference CNN; the difference is not chance (p < 0.001)."),
        ({"CNN": answers(9, 2)}, ", 0.9 points under the reference CNN; the difference may be chance (p = 0.29)."),
        ({"CNN": answers(5, 99)}, ", the same as the reference CNN."),
        ({"CNN": answers(1, 99)}, ", 0.9 points over the reference CNN; the difference may be chance (p = 0.22)."),
        ({"CNN": answers(0)}, ", 1.1 points over the reference CNN; the difference may be chance (p = 0.062)."),
        (
            {"CNN": answers(27, 3), "MLP": answers(13, 400)},
            ", 1.8 points under the reference MLP; the difference may be chance (p = 0.096).",
        ),
    ],
)
def test_the_winner_beside_the_best_reference_on_the_same_examples(references, sentence):
    assert said(summary(), predictions(answers(5), **references))[0] == WON + sentence


def test_a_better_reference_beyond_chance():
    found = verdict(summary(entry(3, "winner", 32)), predictions(answers(32), CNN=answers(5, 30)))
    assert found["sentences"][0] == (
        "The winner's test error is 7.2 % (5.1 to 9.9 %), 6.0 points over the reference CNN; "
        "the difference is not chance (p < 0.001)."
    )
    compared = found["compared"]
    assert (compared["name"], compared["source"]) == ("CNN", "predictions")
    assert compared["difference"] == pytest.approx(27 / EXAMPLES)
    assert 0 < compared["interval"][0] < compared["difference"] < compared["interval"][1]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([reference("CNN", 0.06), reference("MLP", 0.1)], ", 4.9 points under the 6.0 % reported of CNN; "),
        ([reference("CNN", 0.06, 0.07)], ", 5.9 points under the 7.0 % that an earlier training gave of CNN; "),
        ([reference("CNN", 0.001)], ", 1.0 points over the 0.1 % reported of CNN; "),
    ],
)
def test_without_a_references_answers_chance_cannot_be_told(rows, sentence):
    end = "whether by chance cannot be said, as its predictions are not at hand."
    for predicted in (None, predictions(answers(5))):
        assert said(summary(references=rows), predicted)[0] == WON + sentence + end


def test_the_best_reported_figure_stands_beside_what_was_trained_here():
    rows = [reference("CNN", 0.0604, 0.072), reference("MLP", 0.0984)]
    sentences = said(summary(references=rows), predictions(answers(5), CNN=answers(32)))
    assert "Its test error is 4.9 points under the best reported figure, 6.0 % of CNN." in sentences


@pytest.mark.parametrize(
    ("promised", "sentence"),
    [
        (0.0, "The search had promised 0.0 %."),
        (0.01, "The search had promised 1.0 %, with which the test agrees."),
        (0.03, "The search had promised 3.0 %, more than the test found."),
    ],
)
def test_what_the_search_had_promised(promised, sentence):
    assert said(summary(trials=[trial(3, error=promised)]))[1] == sentence


def test_small_uncertainty_has_two_decimals():
    targets = np.arange(10_000) % 10
    predicted = np.where(np.arange(10_000) < 62, (targets + 1) % 10, targets)
    worse = np.where(np.arange(10_000) < 72, (targets + 1) % 10, targets)
    sentences = said(summary(entry(3, "winner", 62, 10_000)), predictions(predicted, targets, CNN=worse))
    assert sentences[0] == (
        "The winner's test error is 0.62 % (0.48 to 0.79 %), 0.10 points under the reference CNN; "
        "the difference is not chance (p = 0.002)."
    )


def test_on_random_labels_nothing_was_learnt():
    labels = np.random.default_rng(0).integers(10, size=EXAMPLES)
    wrong = int((answers(0) != labels).sum())
    found = verdict(summary(entry(3, "winner", wrong)), predictions(answers(0), labels, CNN=answers(9)))
    assert found["sentences"][0] == (
        "Nothing was learnt: the winner's test error is 90.2 % (87.0 to 92.6 %), and always answering the most "
        "frequent class has 88.8 %; the difference may be chance (p = 0.59)."
    )
    assert found["learnt"] is False


def test_worse_than_a_constant_answer_nothing_was_learnt_either():
    labels = np.where(np.arange(EXAMPLES) % 20 == 1, 1, 0)
    predicted = answers(0) % 2
    wrong = int((predicted != labels).sum())
    found = verdict(summary(entry(3, "winner", wrong)), predictions(predicted, labels))
    assert found["sentences"][0].endswith(
        "always answering the most frequent class has 5.1 %; the difference is not chance (p < 0.001)."
    )
    assert found["learnt"] is False


def test_where_f1_is_the_metric_it_is_said_and_rare_classes_may_be_worth_more_wrong_answers():
    labels = np.where(np.arange(EXAMPLES) % 20 == 1, 1, 0)
    predicted = np.where(np.arange(EXAMPLES) % 10 == 1, 1, 0)
    wrong = int((predicted != labels).sum())
    found = verdict(summary(entry(3, "winner", wrong), metric="val_f1"), predictions(predicted, labels))
    low, high = found["f1"]["interval"]
    assert found["learnt"] is True
    assert found["guess"]["p"] == 1
    assert found["sentences"][0].startswith("The winner's test error is 4.9 %")
    assert found["sentences"][2:4] == [
        f"Its macro-averaged F1, which was searched for, is 0.987 ({low:.3f} to {high:.3f}).",
        (
            "By its error alone it is not told from always answering the most frequent class (5.1 %), "
            "but its answers go with the classes (p < 0.001)."
        ),
    ]


def test_calibration_is_said():
    found = verdict(summary(), predictions(answers(5)))
    assert found["sentences"][-1] == (
        "Its confidence is 8.9 points off (expected calibration error): it is right more often than it is sure."
    )
    assert found["bins"][0]["examples"] == EXAMPLES


def row(number: int, mean: float, searched: float, **changes: Any) -> dict[str, Any]:
    return {"trial": number, "model": "cnn", "trainings": [41, 42], "searched": searched, "values": [mean, mean],
            "mean": mean, "interval": [mean - 0.01, mean + 0.01], "val_error": {"searched": 0.0, "mean": 0.0029},
            "parameters": 100, "chosen": None, **changes}  # fmt: skip


def confirmed(*rows: dict[str, Any], metric: str = "val_loss", winner: int = 5, note: str = "") -> dict[str, Any]:
    return {"metric": metric, "configurations": list(rows), "winner": winner, "best": 41, "note": note}


@pytest.mark.parametrize(
    ("document", "sentences"),
    [
        (
            confirmed(row(5, 0.038, 0.0312), row(7, 0.05, 0.04)),
            [
                (
                    "Trained again with 2 fresh seeds, its configuration has a validation loss of 0.0380 on average "
                    "(0.0280 to 0.0480); the search had seen 0.0312, better than any of them."
                ),
                "Its validation error is 0.3 % on average; the search had seen 0.0 %.",
            ],
        ),
        (
            confirmed(row(5, 0.038, 0.04), row(6, 0.05, 0.05), row(7, 0.06, 0.03), note="2 seeds of 5"),
            [
                (
                    "Trained again with 2 fresh seeds, its configuration has a validation loss of 0.0380 on average "
                    "(0.0280 to 0.0480); the search had seen 0.0400."
                ),
                "Its validation error is 0.3 % on average; the search had seen 0.0 %.",
                (
                    "Trial 7, which led the search, came third when trained again; the winner is the configuration of "
                    "trial 5."
                ),
                "There are fewer trainings than asked for: 2 seeds of 5.",
            ],
        ),
        (
            confirmed(row(5, 0.038, 0.03, values=[0.038], interval=None)),
            [
                (
                    "Trained again with a fresh seed, its configuration has a validation loss of 0.0380; the search "
                    "had seen 0.0300."
                ),
                "Its validation error is 0.3 %; the search had seen 0.0 %.",
            ],
        ),
        (
            confirmed(row(5, 0.038, 0.03), metric="val_error"),
            [
                (
                    "Trained again with 2 fresh seeds, its configuration has a validation error of 3.8 % on average "
                    "(2.8 to 4.8 %); the search had seen 3.0 %, better than any of them."
                ),
            ],
        ),
    ],
)
def test_what_training_again_showed(document, sentences):
    assert said(summary(confirmed=document))[2:] == sentences


def test_of_a_score_more_is_better():
    found = verdict(
        summary(confirmed=confirmed(row(5, 0.9, 0.95), row(7, 0.8, 0.96), metric="val_f1"), metric="val_f1"), None
    )
    assert found["optimism"]["value"] == pytest.approx(0.05)
    assert found["leader"] == {"trial": 7, "place": 2}
    assert found["sentences"][3] == (
        "Trained again with 2 fresh seeds, its configuration has a validation F1 of 0.9000 on average "
        "(0.8900 to 0.9100); the search had seen 0.9500, better than any of them."
    )


def test_trainings_that_are_equal_on_the_test_split():
    tests = [entry(41, "winner", 5), entry(42, "seed", 5)]
    sentences = verdict(summary(*tests, confirmed=confirmed(row(5, 0.038, 0.031))), None)["sentences"]
    assert sentences[-1] == "The test errors of its 2 trainings are all 1.1 %."


def test_all_trainings_of_the_winner_and_their_ensemble():
    tests = [entry(41, "winner", 5), entry(42, "seed", 8), entry(43, "family", 90)]
    ensemble = {"error": 4 / EXAMPLES, "interval": wilson(4, EXAMPLES)}
    found = verdict(summary(*tests, confirmed=confirmed(row(5, 0.038, 0.031)), ensemble=ensemble), None)
    assert found["sentences"][-2:] == [
        "The test errors of its 2 trainings are 1.1 to 1.8 %, 1.5 % on average.",
        "Their probabilities averaged have 0.9 % (0.3 to 2.3 %).",
    ]
    assert found["trial"] == 41
    assert found["promised"] == 0.0


@pytest.mark.parametrize(("why", "told"), [("--confirm 0", " (--confirm 0)"), ("", "")])
def test_what_a_single_training_cannot_know(why, told):
    assert said(summary(not_confirmed=why))[-1] == (
        f"Its configuration was trained only once{told}: whether it led by what it is or by the luck of that training, "
        "and what another would give, cannot be said."
    )


@pytest.mark.parametrize(
    ("trials", "interrupted", "sentence"),
    [
        ([], True, "There is no winner: the search ended before its first trial."),
        (
            [trial(0, "failed", None), trial(1, "oom", None), trial(2, "failed", None)],
            False,
            "There is no winner: no trial of 3 left a model (2 failed, 1 ran out of memory).",
        ),
        (
            [trial(0, "diverged", 2.3), trial(1, "diverged", None)],
            False,
            "There is no winner: no trial of 2 left a model (2 diverged).",
        ),
        (
            [trial(0, "cancelled", None), trial(1, "failed", None), trial(2, "completed", 0.5, apart="reference")],
            True,
            "There is no winner: no trial of 2 left a model (1 failed).",
        ),
        (
            [trial(0, "cancelled", 0.3), trial(1, "completed", 0.012)],
            True,
            (
                "There is no winner, as the search was interrupted before the test; trial 1 led by validation, with an "
                "error of 1.2 % there."
            ),
        ),
    ],
)
def test_without_a_winner_the_sentence_says_why(trials, interrupted, sentence):
    found = verdict(summary(entry(9, "reference", 3), trials=trials, interrupted=interrupted), None)
    assert found["sentences"] == [sentence]
    assert found["trial"] is None


def test_an_older_searchs_summary_has_a_verdict_too():
    old = {name: value for name, value in summary().items() if name not in ("not_confirmed", "ensemble")}
    assert said(old)[0] == WON + "; there is no reference to compare it with."

import pytest

from search.history import TrialResult
from search.selection import best_so_far, ranked, select


def trial(
    number: int, model: str, val_loss: float | None, val_error: float = 0.5, val_f1: float = 0.5, **fields
) -> TrialResult:
    """A trial by hand; without ``val_loss`` one that left no checkpoint."""
    worth = None if val_loss is None else {"val_loss": val_loss, "val_error": val_error, "val_f1": val_f1, "index": 3}
    there = [(f"trials/{number}", worth)] if worth else []
    return TrialResult(number, {"model": model}, seed=0, proposed=0.0, checkpoints=there, best=worth, **fields)


def chosen(rows, metric="val_loss", top_k=1):
    return [(selected.trial.id, selected.chosen) for selected in select(rows, metric, top_k)]


ROWS = [
    trial(0, "mlp", 0.5),
    trial(1, "cnn", 0.2),
    trial(2, "cnn", 0.3),
    trial(3, "mlp", 0.4),
    trial(4, "cnn", 0.35),
    trial(5, "cnn", None),
    trial(6, "resnet", 0.9),
]


@pytest.mark.parametrize(
    ("top_k", "expected"),
    [
        (1, [(1, "winner"), (3, "family"), (6, "family")]),
        (2, [(1, "winner"), (2, None), (3, "family"), (6, "family")]),
        (4, [(1, "winner"), (2, None), (4, None), (3, "family"), (6, "family")]),
        (5, [(1, "winner"), (2, None), (4, None), (3, "family"), (0, None), (6, "family")]),
        (99, [(1, "winner"), (2, None), (4, None), (3, "family"), (0, None), (6, "family")]),
    ],
)
def test_winner_best_of_each_family_and_top_k_in_the_order_of_validation(top_k, expected):
    assert chosen(ROWS, top_k=top_k) == expected


def test_the_winner_is_validations_where_the_test_would_reverse_the_order():
    test_error = {0: 0.01, 1: 0.5, 2: 0.2}
    rows = [trial(0, "mlp", 0.9), trial(1, "mlp", 0.1), trial(2, "mlp", 0.5)]
    order = [selected.trial.id for selected in select(rows, "val_loss", 3)]
    assert order == [1, 2, 0] == sorted(test_error, key=test_error.get, reverse=True)
    assert chosen(rows, top_k=3)[0] == (1, "winner")


def test_rows_in_any_order_give_the_same():
    assert chosen(ROWS[::-1], top_k=3) == chosen(ROWS, top_k=3)


@pytest.mark.parametrize(
    ("metric", "rows", "order"),
    [
        ("val_loss", [(0.3, 0.1), (0.2, 0.9), (0.2, 0.1)], [1, 2, 0]),
        ("val_error", [(0.3, 0.1), (0.2, 0.9), (0.2, 0.1)], [2, 0, 1]),
        ("val_error", [(0.2, 0.1), (0.2, 0.1), (0.1, 0.1)], [2, 0, 1]),
        ("val_loss", [(0.2, 0.1), (0.2, 0.0), (0.2, 0.1)], [0, 1, 2]),
        ("val_f1", [(0.3, 0.1, 0.8), (0.2, 0.2, 0.7), (0.4, 0.3, 0.9)], [2, 0, 1]),
        ("val_f1", [(0.2, 0.1, 0.9), (0.2, 0.1, 0.9), (0.1, 0.1, 0.9)], [2, 0, 1]),
    ],
)
def test_ties_go_to_the_lower_loss_then_to_the_older_trial(metric, rows, order):
    trials = [trial(number, "mlp", *row) for number, row in enumerate(rows)]
    assert [each.id for each in ranked(trials[::-1], metric)] == order
    assert best_so_far(trials[::-1], metric) is trials[order[0]]
    assert select(trials, metric, 1)[0].trial is trials[order[0]]


def test_trials_without_a_checkpoint_are_left_out():
    rows = [trial(0, "mlp", None), trial(1, "cnn", 0.3), trial(2, "mlp", 0.4)]
    assert [each.id for each in ranked(rows, "val_loss")] == [1, 2]
    assert chosen([trial(0, "mlp", None)]) == []
    assert chosen([]) == []


def test_a_trial_is_worth_what_its_checkpoint_says_not_what_it_reported_since():
    reported_better = trial(0, "mlp", 0.4)
    reported_better.best = {"val_loss": 0.1, "val_error": 0.0}
    assert chosen([reported_better, trial(1, "mlp", 0.3)]) == [(1, "winner")]


@pytest.mark.parametrize("state", ["completed", "pruned", "converged", "diverged", "oom", "failed", "cancelled"])
def test_how_a_trial_ended_does_not_matter(state):
    assert chosen([trial(0, "mlp", 0.1, state=state), trial(1, "mlp", 0.2)]) == [(0, "winner")]


def test_what_was_trained_beside_the_search_is_never_chosen_however_good_and_references_come_last():
    rows = [
        trial(0, "mlp", 0.01, apart="reference"),
        trial(1, "mlp", 0.5),
        trial(2, "mlp", 0.02, apart="again"),
        trial(3, "cnn", None, apart="reference"),
    ]
    assert chosen(rows, top_k=9) == [(1, "winner"), (0, "reference")]
    assert best_so_far(rows, "val_loss") is rows[1]
    assert chosen(rows[:1]) == [(0, "reference")], "without a trial that counts there is no winner"

import numpy as np
import pytest
import torch
from small_trainings import (
    DEVELOPMENT,
    PLAIN,
    RICH,
    figures,
    mangle_generators,
    run_to,
    three_folds,
    train,
    weights_equal,
    with_wrong_validation,
    worsening,
)

from trainables.training import (
    CHECKPOINT_FILE,
    load_checkpoint,
    probabilities,
    without_resume_state,
)


def test_same_seed_same_curve_whatever_the_global_generators_did():
    first = figures(train(RICH, seed=3))
    mangle_generators()
    assert figures(train(RICH, seed=3)) == first
    assert figures(train(RICH, seed=4)) != first


@pytest.mark.parametrize("more", [{}, {"average": 0.9, "balance": "loss"}], ids=["sampling", "averaged weighted"])
@pytest.mark.parametrize("schedule", ["constant", "step", "cosine", "one_cycle"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "adamax", "sgd"])
def test_resumed_at_any_epoch_it_goes_on_bitwise_as_if_never_stopped(optimizer, schedule, more, tmp_path):
    config = RICH | {"optimizer": optimizer, "schedule": schedule} | more
    undisturbed = train(config, epochs=5)
    curve = figures(undisturbed)
    training = train(config, epochs=5)
    for stop, _ in enumerate(training, start=1):
        folder = tmp_path / str(stop)
        folder.mkdir()
        training.save(folder)
        resumed = train(config, epochs=5)
        mangle_generators()
        resumed.restore(folder)
        assert figures([resumed.best]) == figures([training.best])
        assert figures(resumed) == curve[stop:]
        assert figures([resumed.best]) == figures([undisturbed.best])
        end, expected = (each.checkpoint()["folds"][0] for each in (resumed, undisturbed))
        assert weights_equal(end["best"], expected["best"])
        assert weights_equal(end["resume"]["model"], expected["resume"]["model"])
    assert figures([training.best]) == figures([undisturbed.best])


def test_resumed_between_best_and_last_it_keeps_the_best_and_its_patience(tmp_path):
    undisturbed = train(PLAIN, worsening(), epochs=30, patience=4)
    curve = figures(undisturbed)
    best, last = undisturbed.best.index, undisturbed.index
    assert last == best + 4 < 30
    for stop in range(best, last + 1):
        training = train(PLAIN, worsening(), epochs=30, patience=4)
        run_to(stop, training)
        training.save(tmp_path)
        resumed = train(PLAIN, worsening(), epochs=30, patience=4)
        resumed.restore(tmp_path)
        assert (resumed.index, resumed.best.index) == (stop, best)
        assert figures(resumed) == curve[stop:]
        assert resumed.converged
        assert weights_equal(resumed.checkpoint()["folds"][0]["best"], undisturbed.checkpoint()["folds"][0]["best"])


def test_resumed_after_a_fold_stopped_it_stays_stopped(tmp_path):
    curve = figures(train(PLAIN, with_wrong_validation(), epochs=10, patience=2))
    training = train(PLAIN, with_wrong_validation(), epochs=10, patience=2)
    run_to(8, training)
    training.save(tmp_path)
    resumed = train(PLAIN, with_wrong_validation(), epochs=10, patience=2)
    resumed.restore(tmp_path)
    assert figures(resumed) == curve[8:]


def test_checkpoint_is_read_without_running_code_and_says_what_it_is(tmp_path):
    training = train(RICH, three_folds(), epochs=2, seed=5)
    list(training)
    training.save(tmp_path)
    checkpoint = torch.load(tmp_path / CHECKPOINT_FILE, weights_only=True)
    assert checkpoint["config"] == RICH
    assert checkpoint["classes"] == list("0123456789")
    assert checkpoint["input_shape"] == [1, 8, 8]
    assert (checkpoint["seed"], checkpoint["index"], len(checkpoint["folds"])) == (5, 2, 3)


def test_without_resume_state_the_checkpoint_predicts_the_same_and_is_smaller(tmp_path):
    training = train(RICH, epochs=2)
    list(training)
    training.save(tmp_path)
    whole = load_checkpoint(tmp_path / CHECKPOINT_FILE)
    small = without_resume_state(whole)
    assert [fold.keys() for fold in small["folds"]] == [{"best", "epoch"}]
    assert "resume" in whole["folds"][0]
    inputs = DEVELOPMENT.inputs[:7]
    np.testing.assert_array_equal(probabilities(small, inputs), probabilities(whole, inputs))
    torch.save(small, tmp_path / "small.pt")
    assert (tmp_path / "small.pt").stat().st_size < 0.5 * (tmp_path / CHECKPOINT_FILE).stat().st_size

from statistics import fmean

import numpy as np
import pytest
from small_trainings import DEVELOPMENT, PLAIN, RICH, three_folds, tiny, train, weights_equal, with_wrong_validation

from trainables.epoch import Epoch
from trainables.training import (
    Training,
    mean_epoch,
    probabilities,
)


def test_normalisation_is_of_the_training_examples_of_each_fold_only():
    dataset = three_folds()
    training = train(PLAIN | {"normalise": "standard"}, dataset, epochs=1)
    for learner, fold in zip(training.learners, dataset.folds, strict=True):
        values = dataset.development.inputs[fold.train].astype(np.float64)
        assert learner.model.mean.item() == pytest.approx(values.mean(), rel=1e-5)
        assert learner.model.std.item() == pytest.approx(values.std(ddof=1), rel=1e-5)
    assert len({learner.model.mean.item() for learner in training.learners}) == 3


def test_folds_are_trained_in_step_and_reported_as_their_mean():
    training = train(PLAIN, three_folds())
    assert [epoch.index for epoch in training] == [1, 2, 3, 4]
    folds = training.checkpoint()["folds"]
    for metric in ("val_loss", "val_error", "val_f1", "train_loss"):
        assert getattr(training.best, metric) == fmean(fold["epoch"][metric] for fold in folds)
    assert training.best.index == max(fold["epoch"]["index"] for fold in folds)
    assert len({fold["epoch"]["val_loss"] for fold in folds}) == 3


def test_folds_of_the_same_examples_are_learnt_differently():
    training = train(PLAIN, tiny((range(40), range(40, 60)), (range(40), range(40, 60))), epochs=1)
    list(training)
    first, second = training.checkpoint()["folds"]
    assert first["epoch"]["val_loss"] != second["epoch"]["val_loss"]


def test_first_fold_is_learnt_as_if_it_were_alone():
    together, alone = train(RICH, three_folds()), train(RICH, tiny((range(40), range(40, 60))))
    list(together)
    list(alone)
    assert weights_equal(together.checkpoint()["folds"][0]["best"], alone.checkpoint()["folds"][0]["best"])


def spy_on_seconds(training: Training) -> list[float]:
    """Seconds of each epoch that a fold has really trained."""
    seconds: list[float] = []
    for learner in training.learners:

        def epoch(index: int, train=learner.epoch) -> Epoch:
            trained = train(index)
            seconds.append(trained.seconds)
            return trained

        learner.epoch = epoch
    return seconds


def test_a_fold_that_stopped_carries_its_best_while_others_go_on():
    training = train(PLAIN, with_wrong_validation(), epochs=12, patience=2)
    carried = 0
    seconds = spy_on_seconds(training)
    for epoch in training:
        assert epoch.seconds == pytest.approx(sum(seconds)), "what a stopped fold took once is not counted again"
        seconds.clear()
        stopped, going = (fold["epoch"] for fold in training.checkpoint()["folds"])
        assert going["index"] == epoch.index
        if epoch.index > stopped["index"] + 2:
            carried += 1
            for name in ("val_loss", "val_error", "val_f1", "train_loss", "lr"):
                assert getattr(epoch, name) == fmean([stopped[name], going[name]])
    assert carried > 3
    assert epoch.index == training.best.index == 12
    assert not training.converged


def test_folds_converge_when_all_of_them_have():
    training = train(PLAIN | {"optimizer": "sgd", "lr": 0.0}, three_folds(), patience=3, epochs=50)
    assert len(list(training)) == 4
    assert training.converged


def test_mean_of_epochs_is_figure_by_figure_with_seconds_summed():
    first = Epoch(3, 1.0, 0.5, 2.0, 0.25, 0.75, 7.0, 0.1)
    second = Epoch(5, 2.0, 1.0, 4.0, 0.75, 0.5, 5.0, 0.3)
    assert mean_epoch([first, second], 9) == Epoch(9, 1.5, 0.75, 3.0, 0.5, 0.625, 12.0, 0.2)


def test_probabilities_are_the_mean_over_the_folds_and_sum_to_1():
    training = train(PLAIN, three_folds(), epochs=2)
    list(training)
    checkpoint = training.checkpoint()
    inputs = DEVELOPMENT.inputs[100:120]
    mean = probabilities(checkpoint, inputs)
    single = [probabilities(checkpoint | {"folds": [fold]}, inputs) for fold in checkpoint["folds"]]
    assert (mean.shape, mean.dtype) == ((20, 10), np.float64)
    np.testing.assert_allclose(mean.sum(1), 1)
    np.testing.assert_allclose(mean, np.mean(single, axis=0))
    assert not np.allclose(single[0], single[1])

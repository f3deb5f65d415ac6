import math
from dataclasses import astuple, replace
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
import torch

from datasets import Dataset, Examples, Fold, digits
from trainables.epoch import DivergedError, Epoch
from trainables.models import build
from trainables.optimisation import learning_rate
from trainables.recipe import split_settings
from trainables.training import (
    CHECKPOINT_FILE,
    Training,
    load_checkpoint,
    mean_epoch,
    probabilities,
    without_resume_state,
)

torch.set_num_threads(1)

PLAIN = {"model": "mlp", "widths": [32], "batch_size": 16, "lr": 0.01}
RICH = {
    "model": "cnn",
    "channels": [4],
    "widths": [8],
    "batch_norm": True,
    "dropout": 0.2,
    "channel_dropout": 0.1,
    "batch_size": 16,
    "lr": 0.02,
    "weight_decay": 1e-3,
    "momentum": 0.8,
    "nesterov": True,
    "every": 2,
    "clip": 1.0,
    "label_smoothing": 0.1,
    "affine": 0.5,
    "shift": 0.1,
    "erase": 0.2,
    "normalise": "standard",
}
DEVELOPMENT = digits.load(Path("/nowhere")).development


def tiny(*folds: tuple[range, range]) -> Dataset:
    """The first digits, blind; by default one fold of 40 to train and 24 to validate on."""
    folds = folds or ((range(40), range(40, 64)),)
    arrays = tuple(Fold(np.array(train), np.array(val)) for train, val in folds)
    examples = Examples(DEVELOPMENT.inputs[:120], DEVELOPMENT.targets[:120])
    return Dataset("digits", tuple("0123456789"), examples, arrays, None)


def three_folds() -> Dataset:
    return tiny((range(40), range(40, 60)), (range(20, 60), range(20)), (range(40, 80), range(20, 40)))


def with_wrong_validation() -> Dataset:
    """The first fold's validation targets are wrong: learning worsens it. The second validates on what it learns."""
    dataset = tiny((range(40), range(40, 80)), (range(40), range(40)))
    targets = dataset.development.targets.copy()
    targets[40:80] = (targets[40:80] + 1) % 10
    return replace(dataset, development=Examples(dataset.development.inputs, targets))


def worsening() -> Dataset:
    dataset = with_wrong_validation()
    return replace(dataset, folds=dataset.folds[:1])


def train(config: dict, dataset: Dataset | None = None, *, epochs: int = 4, patience: int = 99, **keywords) -> Training:
    return Training(dataset or tiny(), config, epochs=epochs, patience=patience, **keywords)


def run_to(index: int, training: Training) -> None:
    next(epoch for epoch in training if epoch.index == index)


def figures(epochs) -> list[str]:
    """All figures of epochs but the seconds, as text, which differs where a single bit does."""
    return [repr(astuple(replace(epoch, seconds=0.0))) for epoch in epochs]


def mangle_generators() -> None:
    torch.manual_seed(987)
    torch.rand(5)
    np.random.seed(5)  # noqa: NPY002 - nothing may depend on it


def weights_equal(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_curve_counts_epochs_from_1_with_finite_figures():
    curve = list(train(RICH, epochs=3))
    assert [epoch.index for epoch in curve] == [1, 2, 3]
    for epoch in curve:
        assert all(math.isfinite(figure) for figure in astuple(epoch))
        assert 0 <= epoch.train_error <= 1
        assert (epoch.val_error * 24) == pytest.approx(round(epoch.val_error * 24), abs=1e-4)
        assert epoch.lr == 0.02


def test_learns():
    curve = list(train(PLAIN, epochs=20))
    assert curve[-1].train_loss < 0.5 * curve[0].train_loss
    assert curve[-1].val_error < 0.5


@pytest.mark.parametrize("metric", ["val_loss", "val_error"])
def test_validation_figures_are_the_checkpoints_plain_cross_entropy_and_error(metric, tmp_path):
    dataset = tiny()
    training = train(RICH, dataset, metric=metric)
    list(training)
    training.save(tmp_path)
    checkpoint = load_checkpoint(tmp_path / CHECKPOINT_FILE)
    family, keywords, _ = split_settings(checkpoint["config"])
    model = build(family, checkpoint["input_shape"], len(checkpoint["classes"]), keywords)
    model.load_state_dict(checkpoint["folds"][0]["best"])
    val = dataset.folds[0].val
    with torch.no_grad():
        logits = model.eval()(torch.from_numpy(dataset.development.inputs[val])).double().numpy()
    targets = dataset.development.targets[val]
    log_probabilities = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    assert training.best.val_loss == pytest.approx(-log_probabilities[np.arange(len(val)), targets].mean(), rel=1e-5)
    assert training.best.val_error == pytest.approx((logits.argmax(1) != targets).mean())


@pytest.mark.parametrize(
    "setting",
    [
        *({"batch_size": 8}, {"lr": 0.02}, {"weight_decay": 0.1}, {"clip": 0.01}, {"label_smoothing": 0.2}),
        *({"optimizer": name} for name in ("adamw", "adamax", "sgd")),
        *({"schedule": name, "every": 1} for name in ("step", "cosine", "one_cycle")),
        *({"affine": 0.5}, {"shift": 0.1}, {"erase": 0.2}, {"normalise": "standard"}, {"average": 0.9}),
        *({"dropout": 0.2}, {"batch_norm": True}, {"activation": "tanh"}),
    ],
    ids=str,
)
def test_every_setting_reaches_the_training(setting):
    plain = PLAIN | {"weight_decay": 1e-3}
    assert figures(train(plain | setting, epochs=2)) != figures(train(plain, epochs=2))


@pytest.mark.parametrize("schedule", ["constant", "step", "cosine", "one_cycle"])
def test_an_epochs_rate_is_that_of_its_last_step(schedule):
    config = PLAIN | {"schedule": schedule, "every": 2}
    recipe = split_settings(config)[2]
    steps = 3  # of at most 16 examples, for 40
    expected = [learning_rate(recipe, steps * index - 1, steps, 5) for index in range(1, 6)]
    assert [epoch.lr for epoch in train(config, epochs=5)] == expected


@pytest.mark.parametrize(("metric", "key"), [("val_loss", ("val_loss",)), ("val_error", ("val_error", "val_loss"))])
def test_best_is_the_least_of_the_metric_with_ties_by_loss(metric, key):
    training = train(PLAIN | {"lr": 0.03}, epochs=20, metric=metric)
    curve = list(training)
    assert training.best == min(curve, key=lambda epoch: [getattr(epoch, name) for name in key])
    tied = [epoch for epoch in curve if getattr(epoch, metric) == getattr(training.best, metric)]
    assert metric == "val_loss" or (len(tied) > 1 and training.best != tied[0])


def test_checkpoint_has_the_weights_of_the_best_epoch_not_of_the_last():
    training = train(PLAIN, worsening(), epochs=12)
    seen = {}
    for epoch in training:
        seen[epoch.index] = {name: value.clone() for name, value in training.learners[0].model.state_dict().items()}
    fold = training.checkpoint()["folds"][0]
    assert fold["epoch"]["index"] == training.best.index < 12
    assert weights_equal(fold["best"], seen[training.best.index])
    assert not weights_equal(fold["best"], seen[12])


def test_with_an_average_the_checkpoint_has_the_moving_average_of_the_weights():
    training = train(PLAIN | {"batch_size": 40, "average": 0.8}, epochs=6)  # a step an epoch
    mean = {}
    for _ in training:
        weights = {name: value.clone() for name, value in training.learners[0].model.state_dict().items()}
        mean = {name: 0.8 * mean.get(name, value) + 0.2 * value for name, value in weights.items()}
    fold = training.checkpoint()["folds"][0]
    assert fold["epoch"]["index"] == 6
    torch.testing.assert_close(dict(fold["best"]), mean)
    inputs, targets = DEVELOPMENT.inputs[40:64], DEVELOPMENT.targets[40:64]
    likelihoods = probabilities(training.checkpoint(), inputs)[np.arange(24), targets]
    assert training.best.val_loss == pytest.approx(-np.log(likelihoods).mean(), rel=1e-5)


@pytest.mark.parametrize("patience", [1, 2, 5])
def test_without_a_new_best_it_converges_when_patience_runs_out(patience):
    training = train(PLAIN | {"optimizer": "sgd", "lr": 0.0}, epochs=9, patience=patience)
    curve = list(training)
    assert len(curve) == 1 + patience
    assert training.best.index == 1
    assert training.converged


def test_a_training_that_gets_better_goes_to_its_last_epoch_without_converging():
    training = train(PLAIN | {"lr": 0.001}, epochs=5, patience=1)
    assert training.best is None
    assert not training.converged
    assert len(list(training)) == 5
    assert not training.converged


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
    for metric in ("val_loss", "val_error", "train_loss"):
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
            for name in ("val_loss", "val_error", "train_loss", "lr"):
                assert getattr(epoch, name) == fmean([stopped[name], going[name]])
    assert carried > 3
    assert epoch.index == training.best.index == 12
    assert not training.converged


def test_folds_converge_when_all_of_them_have():
    training = train(PLAIN | {"optimizer": "sgd", "lr": 0.0}, three_folds(), patience=3, epochs=50)
    assert len(list(training)) == 4
    assert training.converged


def test_mean_of_epochs_is_figure_by_figure_with_seconds_summed():
    first = Epoch(3, 1.0, 0.5, 2.0, 0.25, 7.0, 0.1)
    second = Epoch(5, 2.0, 1.0, 4.0, 0.75, 5.0, 0.3)
    assert mean_epoch([first, second], 9) == Epoch(9, 1.5, 0.75, 3.0, 0.5, 12.0, 0.2)


def test_same_seed_same_curve_whatever_the_global_generators_did():
    first = figures(train(RICH, seed=3))
    mangle_generators()
    assert figures(train(RICH, seed=3)) == first
    assert figures(train(RICH, seed=4)) != first


@pytest.mark.parametrize("average", [0.0, 0.9], ids=["plain", "averaged"])
@pytest.mark.parametrize("schedule", ["constant", "step", "cosine", "one_cycle"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "adamax", "sgd"])
def test_resumed_at_any_epoch_it_goes_on_bitwise_as_if_never_stopped(optimizer, schedule, average, tmp_path):
    config = RICH | {"optimizer": optimizer, "schedule": schedule, "average": average}
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


@pytest.mark.parametrize("config", [PLAIN, RICH | {"batch_norm": False, "clip": 0.0}])
def test_a_loss_that_is_not_finite_is_divergence(config):
    training = train(config | {"optimizer": "sgd", "lr": 1e30}, epochs=50)
    with pytest.raises(DivergedError, match=r"(training|validation) loss is (nan|inf) "):
        list(training)


def test_checkpoint_is_read_without_running_code_and_says_what_it_is(tmp_path):
    training = train(RICH, three_folds(), epochs=2, seed=5)
    list(training)
    training.save(tmp_path)
    checkpoint = torch.load(tmp_path / CHECKPOINT_FILE, weights_only=True)
    assert checkpoint["config"] == RICH
    assert checkpoint["classes"] == list("0123456789")
    assert checkpoint["input_shape"] == [1, 8, 8]
    assert (checkpoint["seed"], checkpoint["index"], len(checkpoint["folds"])) == (5, 2, 3)


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


def test_reads_a_read_only_dataset_without_writing_to_it():
    dataset = three_folds()
    arrays = [dataset.development.inputs.copy(), dataset.development.targets.copy()]
    for array in arrays:
        array.flags.writeable = False
    list(train(RICH, replace(dataset, development=Examples(*arrays)), epochs=1))
    np.testing.assert_array_equal(arrays[0], dataset.development.inputs)


@pytest.mark.parametrize(("count", "size"), [(17, 16), (16, 16), (16, 100), (3, 1), (1, 16)])
def test_training_loss_is_the_mean_over_every_example_trained_on(count, size):
    one_picture = Examples(
        np.repeat(DEVELOPMENT.inputs[:1], count + 1, 0), np.repeat(DEVELOPMENT.targets[:1], count + 1)
    )
    dataset = replace(tiny((range(count), range(count, count + 1))), development=one_picture)
    (epoch,) = train(PLAIN | {"batch_size": size, "optimizer": "sgd", "lr": 0.0}, dataset, epochs=1)
    assert epoch.train_loss == pytest.approx(epoch.val_loss, rel=1e-5)
    assert epoch.train_error == epoch.val_error


def test_batch_normalisation_learns_though_the_last_batch_is_of_one():
    assert len(list(train(RICH | {"batch_size": 13}, epochs=2))) == 2

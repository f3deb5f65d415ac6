import math
from dataclasses import astuple, replace

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from small_trainings import (
    DEVELOPMENT,
    PLAIN,
    RICH,
    figures,
    three_folds,
    tiny,
    train,
    weights_equal,
    worsening,
)

from datasets import Examples
from trainables.epoch import METRICS, DivergedError
from trainables.learner import macro_f1
from trainables.models import build
from trainables.optimisation import learning_rate
from trainables.recipe import split_settings
from trainables.training import (
    CHECKPOINT_FILE,
    last_features,
    load_checkpoint,
    probabilities,
)


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


@pytest.mark.parametrize("metric", METRICS)
def test_validation_figures_are_the_checkpoints_plain_cross_entropy_error_and_f1(metric, tmp_path):
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
    f1 = f1_score(targets, logits.argmax(1), labels=range(10), average="macro", zero_division=0)
    assert training.best.val_f1 == pytest.approx(f1, rel=1e-12)


@pytest.mark.parametrize(
    ("classes", "there", "said"),
    [(2, 2, 2), (10, 10, 10), (10, 4, 10), (10, 10, 3), (10, 4, 3), (100, 100, 100), (3, 1, 1), (1, 1, 1)],
)
def test_macro_f1_is_scikit_learns_with_classes_that_are_not_there_or_never_predicted(classes, there, said):
    rng = np.random.default_rng(classes + there)
    targets, predicted = rng.integers(there, size=200), rng.integers(said, size=200)
    expected = f1_score(targets, predicted, labels=range(classes), average="macro", zero_division=0)
    found = macro_f1(torch.from_numpy(predicted), torch.from_numpy(targets), classes)
    assert found == pytest.approx(expected, rel=1e-12)
    assert macro_f1(torch.arange(classes), torch.arange(classes), classes) == 1


@pytest.mark.parametrize(
    "setting",
    [
        *({"batch_size": 8}, {"lr": 0.02}, {"weight_decay": 0.1}, {"clip": 0.01}, {"label_smoothing": 0.2}),
        *({"optimizer": name} for name in ("adamw", "adamax", "sgd")),
        *({"schedule": name, "every": 1} for name in ("step", "cosine", "one_cycle")),
        *({"affine": 0.5}, {"shift": 0.1}, {"perspective": 0.3}, {"crop": 0.2}, {"flip": True}, {"jitter": 0.2}),
        *({"erase": 0.2}, {"normalise": "standard"}, {"normalise": "imagenet"}, {"average": 0.9}),
        *({"balance": name} for name in ("loss", "sampling")),
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


@pytest.mark.parametrize(
    ("metric", "key"),
    [
        ("val_loss", lambda epoch: epoch.val_loss),
        ("val_error", lambda epoch: (epoch.val_error, epoch.val_loss)),
        ("val_f1", lambda epoch: (-epoch.val_f1, epoch.val_loss)),
    ],
)
def test_best_is_the_least_loss_or_error_or_the_most_f1_with_ties_by_loss(metric, key):
    training = train(PLAIN | {"lr": 0.03}, epochs=20, metric=metric)
    curve = list(training)
    assert training.best == min(curve, key=key)
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


@pytest.mark.parametrize("config", [PLAIN, RICH | {"batch_norm": False, "clip": 0.0}])
def test_a_loss_that_is_not_finite_is_divergence(config):
    training = train(config | {"optimizer": "sgd", "lr": 1e30}, epochs=50)
    with pytest.raises(DivergedError, match=r"(training|validation) loss is (nan|inf) "):
        list(training)


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


@pytest.mark.parametrize(("config", "width"), [(PLAIN, 32), (PLAIN | {"widths": []}, 64), (RICH, 8)])
def test_the_last_features_are_those_that_the_logits_are_made_of(config, width):
    family, keywords, _ = split_settings(config)
    model = build(family, (1, 8, 8), 10, keywords).train()
    features, logits = last_features(model, DEVELOPMENT.inputs[:40])
    last = model.net[-1]
    weight, bias = (value.detach().numpy() for value in (last.weight, last.bias))
    assert (features.shape, features.dtype, logits.dtype) == ((40, width), np.float32, np.float32)
    np.testing.assert_allclose(features @ weight.T + bias, logits, atol=1e-4)
    with torch.inference_mode():
        np.testing.assert_allclose(model.eval()(torch.from_numpy(DEVELOPMENT.inputs[:40])), logits, atol=1e-5)
    assert not last._forward_pre_hooks, "nothing is left on the model"


def test_a_model_without_a_linear_layer_has_its_logits_for_features():
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 10, 8), torch.nn.Flatten())
    features, logits = last_features(model, DEVELOPMENT.inputs[:4])
    assert features.shape == (4, 10)
    np.testing.assert_array_equal(features, logits)


def test_no_inputs_have_no_features():
    features, logits = last_features(build("mlp", (1, 8, 8), 10, {"widths": [6]}), DEVELOPMENT.inputs[:0])
    assert (features.shape, logits.shape) == ((0, 6), (0, 10))

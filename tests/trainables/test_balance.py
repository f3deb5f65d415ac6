"""Classes of unequal size: how they weigh in the loss, and how often they are drawn."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from small_trainings import train

from datasets import Dataset, Examples, Fold
from trainables.balance import balanced_draw, class_weights
from trainables.learner import predict_logits
from trainables.training import probabilities

STILL = {"model": "mlp", "widths": [], "optimizer": "sgd", "lr": 0.0, "batch_size": 16}
SIZES = (80, 15, 5)
COUNT = sum(SIZES)


def unequal() -> Dataset:
    """Points with their place as only feature: classes of 80, 15, 5 and 0 to train on, of 10 each to validate."""
    targets = np.concatenate([np.repeat(range(3), SIZES), np.repeat(range(4), 10)])
    order = np.random.default_rng(0).permutation(COUNT)
    targets[:COUNT] = targets[order]
    inputs = np.arange(len(targets), dtype=np.float32)[:, None] / len(targets)
    folds = (Fold(np.arange(COUNT), np.arange(COUNT, len(targets))),)
    return Dataset("points", tuple("abcd"), Examples(inputs, targets.astype(np.int64)), folds, None)


def places_seen(config: dict, *, epochs: int, seed: int = 0) -> list[list[int]]:
    """Places of the examples that were trained on in each epoch, in their order."""
    training = train(config, unequal(), epochs=epochs, seed=seed)
    model, seen = training.learners[0].model, []

    def remember(_, arguments: tuple[torch.Tensor]) -> None:
        if model.training:
            seen.extend((arguments[0][:, 0] * len(unequal().development)).round().int().tolist())

    model.register_forward_pre_hook(remember)
    epochs_seen = []
    for _ in training:
        epochs_seen.append(list(seen))
        seen.clear()
    return epochs_seen


def test_weights_are_scikit_learns_balanced_ones_and_0_for_a_class_without_examples():
    targets = unequal().development.targets[:COUNT]
    expected = compute_class_weight("balanced", classes=np.arange(3), y=targets)
    weights = class_weights(torch.from_numpy(targets), 3)
    assert weights.dtype == torch.float32
    assert weights.numpy() == pytest.approx(expected)
    assert class_weights(torch.from_numpy(targets), 4).numpy() == pytest.approx([*expected * 3 / 4, 0])


def test_loss_is_the_mean_over_the_classes_of_the_folds_training_examples():
    training = train(STILL | {"batch_size": COUNT, "balance": "loss"}, unequal(), epochs=1)
    (epoch,) = training
    examples = unequal().development
    targets = examples.targets[:COUNT]
    likelihoods = probabilities(training.checkpoint(), examples.inputs[:COUNT])
    of_each = [-np.log(likelihoods[targets == number, number]).mean() for number in range(3)]
    assert epoch.train_loss == pytest.approx(np.mean(of_each), rel=1e-5)
    assert epoch.train_error == np.mean(likelihoods.argmax(1) != targets)


@pytest.mark.parametrize(
    ("balance", "learnt"), [("none", (0.8, 0.15, 0.05)), ("loss", (1 / 3,) * 3), ("sampling", (1 / 3,) * 3)]
)
@pytest.mark.parametrize("smoothing", [0.0, 0.05])
def test_where_inputs_say_nothing_the_classes_are_learnt_in_their_shares(balance, learnt, smoothing):
    dataset = unequal()
    blank = replace(dataset, development=Examples(dataset.development.inputs * 0, dataset.development.targets))
    config = {"model": "mlp", "widths": [], "lr": 0.2, "batch_size": COUNT, "schedule": "cosine"}
    training = train(config | {"balance": balance, "label_smoothing": smoothing}, blank, epochs=60)
    list(training)
    shares = predict_logits(training.learners[0].model, torch.zeros(1, 1)).softmax(1)[0]
    assert shares[:3].numpy() == pytest.approx(learnt, abs=0.08)


@pytest.mark.parametrize("balance", ["none", "loss"])
def test_without_sampling_every_example_is_seen_once_an_epoch(balance):
    for places in places_seen(STILL | {"balance": balance}, epochs=3):
        assert sorted(places) == list(range(COUNT))


def test_sampling_draws_each_class_and_each_of_its_examples_alike_and_as_many_as_there_are():
    epochs = places_seen(STILL | {"balance": "sampling"}, epochs=60)
    assert {len(places) for places in epochs} == {COUNT}
    seen = Counter(place for places in epochs for place in places)
    targets = unequal().development.targets
    assert seen.keys() == set(range(COUNT))
    for number, size in enumerate(SIZES):
        times = np.array([seen[place] for place in np.flatnonzero(targets[:COUNT] == number)])
        assert times.sum() == pytest.approx(60 * COUNT / 3, rel=0.05)
        assert times == pytest.approx(np.full(size, times.mean()), abs=5 * np.sqrt(times.mean()))


def test_sampling_follows_the_seed_and_differs_from_epoch_to_epoch():
    config = STILL | {"balance": "sampling"}
    first = places_seen(config, epochs=2, seed=1)
    assert first == places_seen(config, epochs=2, seed=1)
    assert first != places_seen(config, epochs=2, seed=2)
    assert first[0] != first[1]


def test_draws_of_a_single_class_are_its_examples():
    drawn = balanced_draw(torch.full((50,), 3))
    assert len(drawn) == 50
    assert 0 <= drawn.min() < drawn.max() < 50


@pytest.mark.parametrize("balance", ["loss", "sampling"])
def test_validation_stays_as_it_is(balance):
    plain, balanced = (next(iter(train(STILL | each, unequal()))) for each in ({}, {"balance": balance}))
    assert (balanced.val_loss, balanced.val_error) == (plain.val_loss, plain.val_error)
    assert balanced.train_loss != plain.train_loss

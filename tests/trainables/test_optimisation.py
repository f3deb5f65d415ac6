import copy
import math

import pytest
import torch
from torch import nn

from trainables.optimisation import FlatParameters, learning_rate, make_optimizer
from trainables.recipe import Recipe

torch.set_num_threads(1)


def small_model() -> nn.Sequential:
    torch.manual_seed(0)
    convolution = [nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3), nn.Tanh()]
    return nn.Sequential(*convolution, nn.Flatten(), nn.Linear(3 * 16, 5), nn.Tanh(), nn.Linear(5, 4))


def loss_of(model: nn.Module, step: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(step)
    inputs = torch.randn(8, 2, 6, 6, generator=generator)
    targets = torch.randint(4, (8,), generator=generator)
    return nn.functional.cross_entropy(model(inputs), targets)


OPTIMISERS = {
    "adam": ({"optimizer": "adam"}, torch.optim.Adam, {}),
    "adamw": ({"optimizer": "adamw"}, torch.optim.AdamW, {}),
    "adamax": ({"optimizer": "adamax"}, torch.optim.Adamax, {}),
    "sgd": ({"optimizer": "sgd", "momentum": 0.0}, torch.optim.SGD, {}),
    "momentum": ({"optimizer": "sgd", "momentum": 0.9}, torch.optim.SGD, {"momentum": 0.9}),
    "nesterov": (
        {"optimizer": "sgd", "momentum": 0.8, "nesterov": True},
        torch.optim.SGD,
        {"momentum": 0.8, "nesterov": True},
    ),
}


@pytest.mark.parametrize("clip", [0.0, 0.1, 1e3])
@pytest.mark.parametrize(("settings", "kind", "keywords"), OPTIMISERS.values(), ids=OPTIMISERS)
def test_steps_over_the_flat_parameter_are_those_over_each_parameter(settings, kind, keywords, clip):
    plain, flat = small_model(), small_model()
    expected = kind(plain.parameters(), lr=0.01, weight_decay=0.1, **keywords)
    parameters = FlatParameters(flat)
    optimizer = make_optimizer(parameters, Recipe(lr=0.01, weight_decay=0.1, clip=clip, **settings))
    for step in range(5):
        expected.zero_grad()
        loss_of(plain, step).backward()
        parameters.gradients.zero_()
        loss_of(flat, step).backward()
        if clip:
            nn.utils.clip_grad_norm_(plain.parameters(), clip)
            parameters.clip(clip)
        expected.step()
        optimizer.step()
    for (name, value), other in zip(plain.named_parameters(), flat.parameters(), strict=True):
        torch.testing.assert_close(other, value, atol=2e-5, rtol=1e-4, msg=lambda text, name=name: f"{name}: {text}")


def test_nesterov_without_momentum_is_plain_sgd():
    parameters = FlatParameters(small_model())
    optimizer = make_optimizer(parameters, Recipe(optimizer="sgd", momentum=0.0, nesterov=True))
    assert optimizer.param_groups[0]["nesterov"] is False


def test_laying_parameters_flat_changes_no_value_and_no_output():
    plain = small_model().eval()
    flat = copy.deepcopy(plain)
    parameters = FlatParameters(flat)
    assert parameters.values.numel() == sum(value.numel() for value in plain.parameters())
    for value, other in zip(plain.parameters(), flat.parameters(), strict=True):
        assert torch.equal(value, other)
    torch.testing.assert_close(loss_of(flat, 0), loss_of(plain, 0))


def test_model_sees_what_is_written_to_the_flat_parameter():
    model = small_model()
    parameters = FlatParameters(model)
    with torch.no_grad():
        parameters.values.fill_(7)
    assert all((value == 7).all() for value in model.parameters())


def test_frozen_parameters_are_left_out():
    model = small_model()
    for value in model[0].parameters():
        value.requires_grad_(requires_grad=False)
    before = model[0].weight.clone()
    parameters = FlatParameters(model)
    assert parameters.values.numel() == sum(value.numel() for value in model.parameters() if value.requires_grad)
    loss_of(model, 0).backward()
    make_optimizer(parameters, Recipe(lr=1.0)).step()
    assert torch.equal(model[0].weight, before)


@pytest.mark.parametrize(("length", "clipped"), [(0.5, 0.5), (1.0, 1.0), (40.0, 1.0)])
def test_clip_shortens_only_what_is_longer(length, clipped):
    parameters = FlatParameters(small_model())
    parameters.gradients.fill_(length / math.sqrt(parameters.gradients.numel()))
    parameters.clip(1.0)
    assert float(parameters.gradients.norm()) == pytest.approx(clipped, rel=1e-4)


def rates(recipe: Recipe, epochs: int, steps: int) -> list[float]:
    return [learning_rate(recipe, step, steps, epochs) for step in range(epochs * steps)]


@pytest.mark.parametrize(("epochs", "steps", "warmup"), [(10, 10, 0.3), (4, 25, 0.1), (50, 16, 0.4), (3, 5, 0.5)])
def test_one_cycle_is_torchs(epochs, steps, warmup):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.02, total_steps=epochs * steps, pct_start=warmup, cycle_momentum=False
    )
    expected = []
    for _ in range(epochs * steps):
        expected.append(scheduler.get_last_lr()[0])
        optimizer.step()
        if len(expected) < epochs * steps:
            scheduler.step()
    recipe = Recipe(lr=0.02, schedule="one_cycle", warmup=warmup)
    assert rates(recipe, epochs, steps) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.3])
def test_one_cycle_stays_between_its_end_and_its_peak(warmup):
    curve = rates(Recipe(lr=0.5, schedule="one_cycle", warmup=warmup), epochs=5, steps=40)
    assert min(curve) >= 0.5 / 25 / 1e4 * 0.999
    assert 0.49 < max(curve) <= 0.5


def test_one_cycle_is_defined_for_every_warmup_and_every_number_of_steps():
    wrong = []
    for warmup in [0.0, 0.1, 0.2, 0.25, 0.3, 0.5, 0.9, 1.0]:
        for steps in range(1, 13):
            try:
                curve = rates(Recipe(lr=1.0, schedule="one_cycle", warmup=warmup), epochs=1, steps=steps)
            except ArithmeticError as error:
                wrong.append((warmup, steps, repr(error)))
            else:
                if not all(0 < rate <= 1 for rate in curve):
                    wrong.append((warmup, steps, curve))
    assert wrong == []


def test_step_multiplies_every_so_many_epochs():
    curve = rates(Recipe(lr=1.0, schedule="step", factor=0.1, every=2), epochs=5, steps=3)
    assert curve == pytest.approx([1.0] * 6 + [0.1] * 6 + [0.01] * 3)


def test_cosine_falls_from_the_rate_to_nothing():
    curve = rates(Recipe(lr=2.0, schedule="cosine"), epochs=3, steps=3)
    assert curve == pytest.approx([1 + math.cos(math.pi * step / 8) for step in range(9)])
    assert curve == sorted(curve, reverse=True)


def test_constant_stays():
    assert set(rates(Recipe(lr=0.03), epochs=3, steps=4)) == {0.03}


@pytest.mark.parametrize("schedule", ["constant", "step", "cosine", "one_cycle"])
def test_training_of_a_single_step_has_a_rate(schedule):
    (rate,) = rates(Recipe(lr=0.1, schedule=schedule), epochs=1, steps=1)
    assert 0 < rate <= 0.1

import optuna
import pytest
from optuna.trial import FixedTrial

from search.space import (
    Choice,
    Fixed,
    Range,
    all_parameters,
    identity,
    label,
    nodes,
    parameters_at,
    parameters_of,
    propose,
    searched,
    strongest,
)

OPTIMIZER = Choice(
    ("adam", "sgd"),
    {
        "adam": {"weight_decay": Range(1e-6, 1e-3, log=True)},
        "sgd": {"momentum": Range(0.8, 0.98), "nesterov": Fixed(value=True)},
    },
)
SPACE = {
    "model": Choice(
        ("mlp", "cnn"),
        {
            "mlp": {"widths": Choice(([64], [128, 64]), {})},
            "cnn": {"channels": Fixed([16, 32]), "dropout": Range(0.0, 0.2)},
        },
    ),
    "optimizer": OPTIMIZER,
    "lr": Range(1e-3, 1e-1, log=True),
    "batch_size": Range(16, 64, step=16, integer=True),
    "dropout": Range(0.0, 0.5, step=0.1),
    "clip": Fixed(1.0),
    "normalise": Choice(("standard",), {}),
}
MLP_ADAM = {
    "model": "mlp",
    "mlp.widths": "[128,64]",
    "optimizer": "adam",
    "adam.weight_decay": 1e-4,
    "lr": 0.01,
    "batch_size": 32,
    "dropout": 0.3,
}
CNN_SGD = {"model": "cnn", "cnn.dropout": 0.1, "optimizer": "sgd", "sgd.momentum": 0.9, "lr": 0.01, "batch_size": 16}


def without(config, name):
    return {key: value for key, value in config.items() if key != name}


def many_proposals(space, count=200):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [(propose(space, trial), trial.params) for trial in (study.ask() for _ in range(count))]


@pytest.fixture(autouse=True)
def _quiet_optuna():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.mark.parametrize(
    ("parameters", "config"),
    [
        (MLP_ADAM, MLP_ADAM | {"mlp.widths": [128, 64], "clip": 1.0, "normalise": "standard"}),
        (CNN_SGD, CNN_SGD | {"cnn.channels": [16, 32], "sgd.nesterov": True, "clip": 1.0, "normalise": "standard"}),
    ],
    ids=["mlp and adam", "cnn, whose dropout hides the shared one, and sgd"],
)
def test_proposal_has_the_keys_of_the_chosen_alternatives_only(parameters, config):
    assert propose(SPACE, FixedTrial(parameters)) == config


def test_proposals_stay_in_their_ranges_and_choices():
    for config, parameters in many_proposals(SPACE):
        assert ("cnn.dropout" in config) == (config["model"] == "cnn") == ("dropout" not in config)
        assert ("adam.weight_decay" in config) == (config["optimizer"] == "adam")
        assert ("sgd.momentum" in config) == ("sgd.nesterov" in config) == (config["optimizer"] == "sgd")
        assert 1e-3 <= config["lr"] <= 1e-1
        assert config["batch_size"] in (16, 32, 48, 64)
        assert isinstance(config["batch_size"], int)
        assert config.get("mlp.widths") in ([64], [128, 64], None)
        assert config.get("dropout", 0) in [pytest.approx(tenth / 10) for tenth in range(6)]
        assert parameters.keys() == config.keys() - {"cnn.channels", "sgd.nesterov", "clip", "normalise"}


def test_log_range_is_drawn_on_a_log_scale():
    rates = [config["lr"] for config, _ in many_proposals({"lr": Range(1e-4, 1.0, log=True)})]
    assert 0.4 < sum(rate < 1e-2 for rate in rates) / len(rates) < 0.6


def test_alternatives_may_hold_alternatives():
    inner = Choice(("step", "constant"), {"step": {"every": Range(1, 9, integer=True)}, "constant": {}})
    space = {"optimizer": Choice(("adam", "sgd"), {"adam": {"schedule": inner}, "sgd": {}})}
    parameters = {"optimizer": "adam", "adam.schedule": "step", "step.every": 3}
    assert propose(space, FixedTrial(parameters)) == parameters
    assert propose(space, FixedTrial({"optimizer": "sgd"})) == {"optimizer": "sgd"}
    assert [key for key, _ in nodes(space)] == ["optimizer", "adam.schedule", "step.every"]


def test_alternative_named_by_a_decimal_number_hides_the_shared_key():
    space = {
        "clip": Choice((0.5, 0.0), {"0.5": {"lr": Range(0.1, 1.0)}, "0.0": {}}),
        "lr": Range(1e-3, 1e-2),
    }
    assert propose(space, FixedTrial({"clip": 0.5, "0.5.lr": 0.7, "lr": 0.002})) == {"clip": 0.5, "0.5.lr": 0.7}
    assert parameters_of(space, {"clip": 0.5, "lr": 0.7}, {}) == {"clip": 0.5, "0.5.lr": 0.7}


def test_searched_are_the_keys_that_vary():
    assert searched(SPACE) == [
        *("model", "mlp.widths", "cnn.dropout", "optimizer", "adam.weight_decay", "sgd.momentum"),
        *("lr", "batch_size", "dropout"),
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([128, 64], "[128,64]"),
        ((128, 64), "[128,64]"),
        ([], "[]"),
        ([[1, 2], [0.5]], "[[1,2],[0.5]]"),
        ("adam", "adam"),
        (3, 3),
        (0.5, 0.5),
        (False, False),
        (None, None),
    ],
)
def test_label_is_the_value_or_a_list_as_json(value, expected):
    assert label(value) == expected
    assert type(label(value)) is type(expected)


INSIDE_MLP = {
    "model": "mlp",
    "widths": [128, 64],
    "optimizer": "adam",
    "weight_decay": 1e-6,
    "lr": 1e-1,
    "batch_size": 32,
    "dropout": 0.5,
    "clip": 1.0,
    "normalise": "standard",
    "momentum": 0.1,
    "nesterov": False,
    "channels": [1],
}
INSIDE_CNN = INSIDE_MLP | {
    "model": "cnn",
    "channels": [16, 32],
    "dropout": 0.2,
    "optimizer": "sgd",
    "momentum": 0.9,
    "nesterov": True,
}


@pytest.mark.parametrize(
    ("settings", "parameters"),
    [
        (INSIDE_MLP, MLP_ADAM | {"adam.weight_decay": 1e-6, "lr": 1e-1, "dropout": 0.5}),
        (INSIDE_CNN, CNN_SGD | {"cnn.dropout": 0.2, "lr": 1e-1, "batch_size": 32}),
        (INSIDE_MLP | {"lr": 0.2}, None),
        (INSIDE_MLP | {"lr": 1e-4}, None),
        (INSIDE_MLP | {"widths": [64, 64]}, None),
        (INSIDE_MLP | {"optimizer": "adamw"}, None),
        (INSIDE_MLP | {"weight_decay": 0.0}, None),
        (INSIDE_MLP | {"clip": 0.0}, None),
        (INSIDE_MLP | {"normalise": "none"}, None),
        (INSIDE_MLP | {"model": "resnet"}, None),
        (INSIDE_MLP | {"lr": [0.1]}, None),
        (INSIDE_CNN | {"channels": [16, 64]}, None),
        (INSIDE_CNN | {"dropout": 0.5}, None),
        (INSIDE_CNN | {"nesterov": False}, None),
        (INSIDE_MLP | {"batch_size": 33}, None),
        (INSIDE_MLP | {"dropout": 0.25}, None),
    ],
)
def test_parameters_of_a_configuration_or_none_where_it_lies_outside(settings, parameters):
    assert parameters_of(SPACE, settings, settings) == parameters


def test_what_is_proposed_lies_inside_with_the_parameters_it_was_proposed_by():
    for config, parameters in many_proposals(SPACE):
        settings = INSIDE_MLP | {key.rpartition(".")[2]: value for key, value in config.items()}
        assert parameters_of(SPACE, settings, settings) == pytest.approx(parameters)


def test_parameters_inside_are_proposed_again_when_enqueued():
    for settings in (INSIDE_MLP, INSIDE_CNN):
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        study.enqueue_trial(parameters_of(SPACE, settings, settings))
        config = propose(SPACE, study.ask())
        assert {key.rpartition(".")[2]: value for key, value in config.items()}.items() <= settings.items()


CONFIG_MLP = MLP_ADAM | {"mlp.widths": [128, 64], "clip": 1.0, "normalise": "standard"}
CONFIG_CNN = CNN_SGD | {"cnn.channels": [16, 32], "sgd.nesterov": True, "clip": 1.0, "normalise": "standard"}


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (CONFIG_MLP, MLP_ADAM),
        (CONFIG_CNN, CNN_SGD),
        (dict(reversed(CONFIG_CNN.items())), CNN_SGD),
        (CONFIG_MLP | {"lr": 0.2}, None),
        (CONFIG_MLP | {"dropout": 0.25}, None),
        (CONFIG_MLP | {"batch_size": 33}, None),
        (CONFIG_MLP | {"mlp.widths": [64, 64]}, None),
        (CONFIG_MLP | {"clip": 0.5}, None),
        (CONFIG_MLP | {"normalise": "none"}, None),
        (CONFIG_MLP | {"model": "resnet"}, None),
        (CONFIG_MLP | {"affine": 0.1}, None),
        (CONFIG_MLP | {"sgd.momentum": 0.9}, None),
        (CONFIG_CNN | {"cnn.channels": [16, 64]}, None),
        (CONFIG_CNN | {"dropout": 0.1}, None),
        (without(CONFIG_MLP, "lr"), None),
        (without(CONFIG_MLP, "clip"), None),
        ({}, None),
    ],
)
def test_parameters_at_exactly_one_configuration_or_none_where_the_space_does_not_have_it(config, parameters):
    found = parameters_at(SPACE, config)
    assert found == parameters
    if found is not None:
        assert list(found) == list(parameters), "in the order in which they are proposed"
        assert propose(SPACE, FixedTrial(found)) == config


def test_what_is_proposed_is_found_again_by_its_configuration_alone():
    for config, parameters in many_proposals(SPACE):
        assert parameters_at(SPACE, config) == parameters


def test_a_family_of_another_model_is_another_configuration():
    spaces = [{"model": Choice(("mine",), {"mine": {"model": Fixed(model)}})} for model in ("mlp", "cnn")]
    config = {"model": "mine", "mine.model": "mlp"}
    assert [parameters_at(space, config) for space in spaces] == [{}, None]


@pytest.mark.parametrize(
    ("node", "most"),
    [
        (Fixed(0.25), 0.25),
        (Range(0.0, 0.5), 0.5),
        (Choice((0.1, 0.3, 0.0), {}), 0.3),
        (Choice((False, True), {}), True),
        (Choice((False,), {}), False),
    ],
    ids=["fixed", "range", "choice", "switch", "switched off"],
)
def test_the_strongest_value_of_every_kind_of_setting(node, most):
    space = {"model": Choice(("mlp",), {"mlp": {}}), "shift": node, "lr": Range(1e-3, 1e-2)}
    assert strongest(space, "mlp", {"shift", "affine"}) == {"shift": most}


def test_the_strongest_values_of_a_family_are_its_own_before_the_shared_ones():
    shared = {
        "optimizer": Choice(("adam", "sgd"), {"adam": {}, "sgd": {"shift": Range(0.1, 0.4)}}),
        "shift": Fixed(0.2),
        "affine": Fixed(0.3),
    }
    families = {"mlp": {"affine": Choice((0.0, 0.1), {})}, "cnn": {}}
    space = {"model": Choice(("mlp", "cnn"), families), **shared}
    assert strongest(space, "mlp", {"affine", "shift"}) == {"affine": 0.1, "shift": 0.4}
    assert strongest(space, "cnn", {"affine", "shift"}) == {"affine": 0.3, "shift": 0.4}


FAMILIES = Choice(
    ("mlp", "cnn"), {"mlp": {"widths": Choice(([64], [128]), {})}, "cnn": {"dropout": Range(0.0, 0.2, step=0.1)}}
)
SCHEDULE = Choice(("constant", "step"), {"constant": {}, "step": {"every": Range(1, 9, step=4, integer=True)}})


@pytest.mark.parametrize(
    ("space", "count"),
    [
        ({"clip": Fixed(1.0)}, 1),
        ({"clip": Choice((1.0,), {})}, 1),
        ({"depth": Range(2, 5, integer=True)}, 4),
        ({"depth": Range(1, 100, log=True, integer=True)}, 100),
        ({"batch_size": Range(16, 64, step=16, integer=True)}, 4),
        ({"dropout": Range(0.0, 0.3, step=0.1)}, 4),
        ({"dropout": Range(0.1, 0.7, step=0.2), "depth": Range(1, 3, integer=True)}, 12),
        ({"optimizer": Choice(("adam", "sgd"), {"adam": {"schedule": SCHEDULE}, "sgd": {}})}, 5),
        ({"model": FAMILIES, "schedule": SCHEDULE}, 5 * 4),
        (
            {"model": FAMILIES, "dropout": Range(0.0, 0.5, step=0.1), "batch_size": Choice((32, 64), {})},
            (2 * 6 + 3) * 2,
        ),
        ({"optimizer": SCHEDULE, "lr": Range(0.1, 1.0)}, None),
        ({"optimizer": Choice(("adam", "sgd"), {"adam": {}, "sgd": {"lr": Range(0.1, 1.0)}})}, None),
        ({"optimizer": Choice(("adam", "sgd"), {"adam": {"lr": Range(0.1, 1.0)}, "sgd": {}})}, None),
        ({"model": Choice(("mlp",), {"mlp": {"lr": Choice((0.1, 0.2), {})}}), "lr": Range(0.1, 1.0)}, 2),
        ({"depth": Range(1, 101, integer=True)}, None),
        ({"depth": Range(1, 10**12, integer=True)}, None),
    ],
)
def test_all_points_of_a_space_are_listed_once_where_there_are_at_most_so_many(space, count):
    points = all_parameters(space, 100)
    if count is None:
        assert points is None
    else:
        assert len(points) == count
        assert len({str(point) for point in points}) == count
        assert all(propose(space, FixedTrial(point)) is not None for point in points)


def test_the_points_listed_are_those_that_are_proposed():
    space = {"model": FAMILIES, "schedule": SCHEDULE, "dropout": Range(0.0, 0.5, step=0.25)}

    def rounded(parameters):
        return repr({key: round(value, 9) if isinstance(value, float) else value for key, value in parameters.items()})

    listed = {rounded(point) for point in all_parameters(space, 100)}
    assert listed == {rounded(parameters) for _, parameters in many_proposals(space, 1000)}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": 0.1 + 0.2, "b": 1}, {"b": 1, "a": 0.3}, True),
        ({"a": 1e-5}, {"a": 1.00001e-5}, False),
        ({"a": "1"}, {"a": 1}, False),
        ({"a": None}, {}, False),
        ({"a": "[8]", "b": True}, {"a": "[8]", "b": False}, False),
    ],
)
def test_one_point_has_one_identity(one, other, same):
    assert (identity(one) == identity(other)) == same

"""What is proposed, what is not, and where the sampler turns away."""

import math
from pathlib import Path

import pytest
from conf_document import message_of
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, create_trial

from search import conf
from search.endings import told
from search.history import State
from search.proposer import Proposer
from search.space import Choice, Config, Fixed, Range, Space
from search.task import Reference

CONF = """
dataset: digits
epochs: 3
models: {mlp: {widths: {choice: [[8], [16], [512], [1024], [2048]]}}}
space: {lr: {low: 1e-3, high: 1e-1, log: true}}
references:
  - {name: large, config: {model: mlp, widths: [512], lr: 0.01}}
  - {name: small, config: {model: mlp, widths: [8], lr: 0.01}}
"""


@pytest.fixture
def task(tmp_path: Path):
    file = tmp_path / "mine.yaml"
    file.write_text(CONF)
    return conf.load(str(file), {}, [])


def narrow(config: Config) -> bool:
    return bool(config["mlp.widths"][0] <= 16)


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_what_is_rejected_is_never_proposed_nor_told(task, sampler):
    proposer = Proposer(task.space, sampler, 0, task.references, narrow)
    proposed = [proposer.ask(number) for number in range(20)]
    assert [origin for _, origin in proposed[:2]] == ["small", "sampler"], "a reference that is too large is left out"
    assert {config["mlp.widths"][0] for config, _ in proposed} == {8, 16}
    states = [trial.state.name for trial in proposer.study.trials]
    assert states.count("RUNNING") == 20
    assert set(states) == {"RUNNING", "FAIL"}


def test_a_limit_that_nothing_meets_is_said_before_anything_starts(task):
    assert "max_parameters" in message_of(Proposer, task.space, "tpe", 0, (), lambda _: False)


def test_the_parameters_of_a_configuration_are_counted_as_its_model_has_them():
    from trainables.models import build, parameter_count

    keywords = {"channels": [4, 8], "widths": [16], "batch_norm": True}
    model = build("cnn", (3, 12, 12), 7, keywords)
    counted = parameter_count("cnn", (3, 12, 12), 7, keywords)
    assert counted == sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


SMALL: Space = {
    "model": Choice(("mlp",), {"mlp": {"widths": Choice(([8], [16]), {})}}),
    "dropout": Range(0.0, 0.2, step=0.1),
    "batch_size": Range(16, 32, step=16, integer=True),
}
CONDITIONAL: Space = {
    "model": Choice(
        ("mlp", "cnn"), {"mlp": {"widths": Choice(([8], [16]), {})}, "cnn": {"dropout": Range(0.0, 0.2, step=0.1)}}
    ),
    "optimizer": Choice(("adam", "sgd"), {"adam": {}, "sgd": {"momentum": Choice((0.8, 0.9), {})}}),
}


def ask_and_tell(proposer: Proposer, numbers: range) -> list[str]:
    """The configurations of these trials, each of which completes, the earlier ones with less loss."""
    configs = []
    for number in numbers:
        configs.append(str(proposer.ask(number)[0]))
        proposer.tell(number, told("completed"), float(number), {})
    return configs


@pytest.mark.parametrize("sampler", ["tpe", "random"])
@pytest.mark.parametrize(
    ("space", "accepts", "count"),
    [
        (SMALL, None, 12),
        (SMALL, lambda config: config["mlp.widths"] == [16], 6),
        (SMALL, lambda config: config["mlp.widths"] == [16] and config["batch_size"] == 16, 3),
        (CONDITIONAL, None, 15),
        (CONDITIONAL, lambda config: config["model"] == "mlp", 6),
    ],
    ids=["finite", "with a limit", "with a narrow limit", "conditional", "conditional with a limit"],
)
def test_no_configuration_is_proposed_again_until_all_have_been(sampler, space, accepts, count):
    proposer = Proposer(space, sampler, 0, accepts=accepts)
    assert len(set(ask_and_tell(proposer, range(count)))) == count
    assert len(set(ask_and_tell(proposer, range(count, count + 5)))) <= count
    states = [trial.state.name for trial in proposer.study.trials]
    assert states.count("COMPLETE") == count + 5
    assert not {"RUNNING", "WAITING"} & set(states)


def test_a_repeat_that_was_thrown_away_teaches_nothing():
    proposer = Proposer(SMALL, "tpe", 0)
    ask_and_tell(proposer, range(12))
    states = [trial.state.name for trial in proposer.study.trials]
    assert (states.count("COMPLETE"), set(states)) == (12, {"COMPLETE", "FAIL"})


def test_trials_side_by_side_are_different_too():
    proposer = Proposer(SMALL, "tpe", 0)
    assert len({str(proposer.ask(number)[0]) for number in range(12)}) == 12


def test_one_configuration_is_proposed_as_often_as_it_is_asked_for():
    proposer = Proposer({"model": Choice(("mlp",), {"mlp": {}}), "lr": Fixed(0.1)}, "tpe", 0)
    assert ask_and_tell(proposer, range(3)) == [str({"model": "mlp", "lr": 0.1})] * 3


def test_where_one_branch_is_endless_the_other_may_come_again_only_seldom():
    space: Space = {"optimizer": Choice(("adam", "sgd"), {"adam": {}, "sgd": {"lr": Range(0.1, 1.0)}})}
    configs = ask_and_tell(Proposer(space, "random", 0), range(30))
    assert configs.count(str({"optimizer": "adam"})) == 1


def test_a_reference_named_twice_is_proposed_once():
    parameters = {"mlp.widths": "[8]", "dropout": 0.1, "batch_size": 16}
    references = [Reference(name, {}, parameters, 1, 1, {}) for name in ("one", "two")]
    proposer = Proposer(SMALL, "tpe", 0, references)
    assert [proposer.ask(number)[1] for number in range(12)] == ["one", *["sampler"] * 11]


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_same_seed_gives_the_same_proposals(sampler):
    first, again, other = (ask_and_tell(Proposer(SMALL, sampler, seed), range(14)) for seed in (1, 1, 2))
    assert first == again != other


def test_families_that_are_all_too_large_do_not_hold_up_the_one_that_is_not():
    families = ("mlp", "cnn", "wide", "deep")
    space: Space = {"model": Choice(families, {family: {} for family in families}), "lr": Range(1e-3, 1.0)}
    proposer = Proposer(space, "tpe", 0, accepts=lambda config: config["model"] == "mlp")
    assert len(set(ask_and_tell(proposer, range(40)))) == 40


@pytest.mark.parametrize("ending", ["diverged", "oom"])
def test_the_sampler_turns_away_from_where_trials_diverge_or_run_out_of_memory(ending: State):
    """The upper half of the range never ends well, and the best lie close below it."""
    proposer = Proposer({"lr": Range(1e-4, 1.0, log=True), "dropout": Range(0.0, 0.5)}, "tpe", 0)
    fell = []
    for number in range(60):
        config, _ = proposer.ask(number)
        place = (math.log10(config["lr"]) + 4) / 4
        fell.append(place > 0.5)
        loss = (2 * place - 0.8) ** 2 + config["dropout"]
        proposer.tell(number, told(ending if fell[-1] else "completed"), None if fell[-1] else loss, {})
    assert sum(fell[20:]) < 16, "of 40, where 20 would be chance"


def completed(proposer: Proposer) -> list[FrozenTrial]:
    return [trial for trial in proposer.study.trials if trial.state.name == "COMPLETE"]


@pytest.mark.parametrize("sampler", ["tpe", "random"])
@pytest.mark.parametrize(("space", "count"), [(SMALL, 12), (CONDITIONAL, 15)], ids=["flat", "conditional"])
def test_what_earlier_searches_proposed_is_not_proposed_again_until_all_has_been(sampler, space, count):
    earlier = Proposer(space, sampler, 0)
    proposed = ask_and_tell(earlier, range(7))
    proposer = Proposer(space, sampler, 0, past=completed(earlier))
    assert len({*proposed, *ask_and_tell(proposer, range(count - 7))}) == count
    assert ask_and_tell(proposer, range(3))


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_seed_of_an_earlier_search_draws_anew_after_it(sampler):
    space: Space = {"lr": Range(1e-3, 1.0)}
    earlier = Proposer(space, sampler, 0)
    proposed = ask_and_tell(earlier, range(30))
    again, after = (
        ask_and_tell(Proposer(space, sampler, 0, past=past), range(30)) for past in ((), completed(earlier))
    )
    assert proposed == again
    assert not {*proposed} & {*after}
    assert after == ask_and_tell(Proposer(space, sampler, 0, past=completed(earlier)), range(30))


def test_the_sampler_goes_on_where_earlier_trials_were_good():
    space: Space = {"lr": Range(1e-4, 1.0, log=True)}
    distributions = {"lr": FloatDistribution(1e-4, 1.0, log=True)}
    past = [
        create_trial(value=abs(place - 30), params={"lr": 10 ** (-place / 10)}, distributions=distributions)
        for place in range(41)
    ]
    proposer = Proposer(space, "tpe", 0, past=past)
    rates = [proposer.ask(number)[0]["lr"] for number in range(10)]
    assert sum(3e-4 < rate < 3e-3 for rate in rates) >= 7, "of ten, where two or three would be chance"

"""What is proposed, what is not, and where the sampler turns away."""

import math
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from conf_document import message_of
from optuna.trial import FrozenTrial, TrialState
from proposing import SMALL, Make, ask_and_show, show, with_all_samplers

from search import conf, proposer
from search.history import State
from search.proposer import Proposer, Sampler
from search.space import Choice, Config, Fixed, Range, Space, parameters_at
from search.study import trial_at
from search.task import Task

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
def task(tmp_path: Path) -> Task:
    file = tmp_path / "mine.yaml"
    file.write_text(CONF)
    return conf.load(str(file), {}, [])


def narrow(config: Config) -> bool:
    return bool(config["mlp.widths"][0] <= 16)


@with_all_samplers
def test_what_is_rejected_is_never_proposed(task: Task, make: Make, sampler: Sampler) -> None:
    proposer = make(task.space, sampler, 0, task.references, narrow)
    proposed = []
    for number in range(20):
        proposed.append(proposer.ask(number))
        show(proposer, number, number + 1.0)
    assert [origin for _, origin in proposed[:2]] == ["small", "sampler"], "a reference that is too large is left out"
    assert {config["mlp.widths"][0] for config, _ in proposed} == {8, 16}
    assert [parameters_at(task.space, config) for config, _ in proposed] == [trial.params for trial in proposer.trials]


def test_a_limit_that_nothing_meets_is_said_before_anything_starts(task: Task) -> None:
    assert "max_parameters" in message_of(Proposer, task.space, "tpe", 0, (), lambda _: False)


@pytest.mark.parametrize("rejects", [30, 60])
@with_all_samplers
def test_one_of_very_many_must_be_accepted(
    task: Task, make: Make, sampler: Sampler, rejects: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proposer, "_TRIES", 50)
    answers = iter([True, *[False] * rejects, *[True] * 2])
    one = make(task.space, sampler, 0, (), lambda _: next(answers))
    if rejects < 50:
        assert one.ask(0)
    else:
        with pytest.raises(RuntimeError, match="none of 50 proposals in a row was accepted"):
            one.ask(0)


def test_the_parameters_of_a_configuration_are_counted_as_its_model_has_them() -> None:
    from trainables.models import build, parameter_count

    keywords = {"channels": [4, 8], "widths": [16], "batch_norm": True}
    model = build("cnn", (3, 12, 12), 7, keywords)
    counted = parameter_count("cnn", (3, 12, 12), 7, keywords)
    assert counted == sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


EVERYTHING: Space = {
    "model": Choice(("mlp", "cnn"), {"mlp": {"widths": Choice(([8], [16, 8], []), {})}, "cnn": {}}),
    "optimizer": Choice(("adam", "sgd"), {"adam": {}, "sgd": {"lr": Range(1e-3, 1.0, log=True)}}),
    "lr": Range(1e-4, 1e-2, log=True),
    "hidden": Range(1, 300, log=True, integer=True),
    "layers": Range(1, 4, integer=True),
    "batch_size": Range(16, 128, step=16, integer=True),
    "dropout": Range(0.1, 0.7, step=0.2),
    "nesterov": Choice((True, False), {}),
    "clip": Choice((None, 0.5, 1), {}),
    "pool": Choice((2, [2, 2, 7]), {}),
    "schedule": Choice(("constant", "cosine", "step"), {}),
    "same": Range(3, 3, integer=True),
    "seed": Fixed(1),
    **{f"x{place}": Range(0.0, 1.0) for place in range(20)},
}


@with_all_samplers
def test_settings_of_every_kind_have_valid_values(make: Make, sampler: Sampler) -> None:
    proposer = make(EVERYTHING, sampler, 0)
    for number in range(20):
        config, _ = proposer.ask(number)
        assert parameters_at(EVERYTHING, config) == proposer.parameters(number)
        show(proposer, number, number + 1.0)


@with_all_samplers
def test_the_same_seed_gives_the_same_proposals(make: Make, sampler: Sampler) -> None:
    first, again, other = (ask_and_show(make(SMALL, sampler, seed), range(14)) for seed in (1, 1, 2))
    assert first == again != other


@with_all_samplers
def test_how_long_a_proposal_takes_changes_none(task: Task, make: Make, sampler: Sampler) -> None:
    """The calls are the same; once the thread is slow, once those who ask."""

    def slow(config: Config) -> bool:
        time.sleep(0.002)
        return narrow(config)

    def lazy(proposer: Proposer, number: int) -> str:
        config = str(proposer.ask(number)[0])
        time.sleep(0.005)
        show(proposer, number, number + 1.0, "paused", rung=1)
        return config

    waiting = make(task.space, sampler, 0, (), slow, milestones=(1,))
    waited_for = make(task.space, sampler, 0, (), narrow, milestones=(1,))
    configs = []
    for number in range(20):
        configs.append(str(waiting.ask(number)[0]))
        show(waiting, number, number + 1.0, "paused", rung=1)
    assert configs == [lazy(waited_for, number) for number in range(20)]


def test_a_proposal_is_made_of_what_was_seen_when_the_one_before_it_was_handed_out(make: Make) -> None:
    """Where the losses of all trials change sides, the proposal that is made follows one later."""
    proposals = []
    for change in (None, 19, 20):
        proposer = make({"lr": Range(0.0, 1.0)}, "gp", 0)
        for number in range(21):
            rate = proposer.ask(number)[0]["lr"]
            show(proposer, number, 1 + rate)
            if number == change:
                for before in range(number + 1):
                    show(proposer, before, 2 - proposer.parameters(before)["lr"])
        proposals.append([proposer.ask(number)[0]["lr"] for number in (21, 22)])
    plain, early, late = proposals
    assert plain[0] == late[0] != early[0]
    assert plain[1] != late[1]


def test_families_that_are_all_too_large_do_not_hold_up_the_one_that_is_not(make: Make) -> None:
    families = ("mlp", "cnn", "wide", "deep")
    space: Space = {"model": Choice(families, {family: {} for family in families}), "lr": Range(1e-3, 1.0)}
    proposer = make(space, "tpe", 0, accepts=lambda config: config["model"] == "mlp")
    assert len(set(ask_and_show(proposer, range(40)))) == 40


@pytest.mark.parametrize("ending", ["diverged", "oom"])
@pytest.mark.parametrize("sampler", ["gp", "tpe"])
def test_the_sampler_turns_away_from_where_trials_diverge_or_run_out_of_memory(
    make: Make, sampler: Sampler, ending: State
) -> None:
    """The upper half of the range never ends well, and the best lie close below it."""
    proposer = make({"lr": Range(1e-4, 1.0, log=True), "dropout": Range(0.0, 0.5)}, sampler, 0)
    fell = []
    for number in range(60):
        config, _ = proposer.ask(number)
        place = (math.log10(config["lr"]) + 4) / 4
        fell.append(place > 0.5)
        loss = (2 * place - 0.8) ** 2 + config["dropout"]
        show(proposer, number, None if fell[-1] else loss, ending if fell[-1] else "completed")
    assert sum(fell[20:]) < 16, "of 40, where 20 would be chance"


@pytest.mark.parametrize("sampler", ["gp", "tpe"])
def test_the_sampler_goes_on_where_earlier_trials_were_good(make: Make, sampler: Sampler) -> None:
    space: Space = {"lr": Range(1e-4, 1.0, log=True)}
    past: list[FrozenTrial] = [
        trial_at(space, {"lr": 10 ** (-place / 10)}, TrialState.COMPLETE, value=abs(place - 30) + 1.0)
        for place in range(41)
    ]
    proposer = make(space, sampler, 0, past=past)
    rates = [proposer.ask(number)[0]["lr"] for number in range(10)]
    assert sum(3e-4 < rate < 3e-3 for rate in rates) >= 7, "of ten, where two or three would be chance"


@pytest.mark.parametrize(
    ("state", "rung", "known"),
    [
        ("running", None, ("RUNNING", {})),
        ("running", 1, ("RUNNING", {1: 0.5})),
        ("paused", 1, ("PRUNED", {1: 0.5})),
        ("completed", 1, ("COMPLETE", {1: 0.5})),
        ("oom", 1, ("PRUNED", {})),
    ],
)
def test_of_a_trial_what_was_seen_last_counts(make: Make, state: State, rung: int | None, known: Any) -> None:
    proposer = make(SMALL, "random", 0)
    proposer.ask(0)
    parameters = proposer.parameters(0)
    show(proposer, 0, 0.7, "paused", rung=1)
    show(proposer, 0, 0.5, state, rung)
    (trial,) = proposer.trials
    assert (trial.state.name, trial.intermediate_values) == known
    assert trial.params == parameters


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("proposer")]


@with_all_samplers
def test_the_thread_ends_and_with_it_at_most_one_proposal(sampler: Sampler) -> None:
    entered, leave = threading.Event(), threading.Event()
    looked_at = []

    def accepts(config: Config) -> bool:
        looked_at.append(config)
        if len(looked_at) == 3:  # the first when it is made, the second when it is asked, this one ahead
            entered.set()
            leave.wait(10)
        return True

    proposer = Proposer({"lr": Range(0.0, 1.0)}, sampler, 0, accepts=accepts)
    assert not threads(), "it begins when something is asked"
    proposer.ask(0)
    assert entered.wait(10)
    assert len(threads()) == 1
    threading.Timer(0.01, leave.set).start()
    proposer.close()
    assert not threads()
    assert len(looked_at) == 3
    show(proposer, 0, 0.5)
    proposer.close()


def test_one_that_was_never_asked_has_nothing_to_end() -> None:
    Proposer(SMALL, "gp", 0).close()


def test_what_is_raised_on_the_thread_reaches_who_asks_next(make: Make) -> None:
    calls: list[Config] = []

    def accepts(config: Config) -> bool:
        calls.append(config)
        if len(calls) == 3:
            raise ZeroDivisionError("in a model of the user's own")
        return True

    proposer = make({"lr": Range(0.0, 1.0)}, "random", 0, accepts=accepts)
    proposer.ask(0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match="of the user's own"):
            proposer.ask(1)

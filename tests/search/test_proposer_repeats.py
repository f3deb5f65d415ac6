"""No configuration is proposed twice, as long as there are others."""

import numpy as np
import pytest
from proposing import CONDITIONAL, SMALL, Make, ask_and_show, show, with_all_samplers

from search.proposer import Sampler
from search.space import Choice, Fixed, Range, Space
from search.task import Reference


@with_all_samplers
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
def test_no_configuration_is_proposed_again_until_all_have_been(make: Make, sampler, space, accepts, count) -> None:
    proposer = make(space, sampler, 0, accepts=accepts)
    assert len(set(ask_and_show(proposer, range(count)))) == count
    assert len(set(ask_and_show(proposer, range(count, count + 5)))) <= count
    assert [trial.value for trial in proposer.trials] == [place + 1.0 for place in range(count + 5)]


def test_what_is_proposed_again_is_what_promises_most(make: Make) -> None:
    proposer = make({"batch_size": Range(1, 20, integer=True)}, "gp", 0)
    for number in range(30):
        size = proposer.ask(number)[0]["batch_size"]
        show(proposer, number, size / 10)
    again = [trial.params["batch_size"] for trial in proposer.trials][20:]
    assert np.mean(again) < 6, "where chance would be 10"


@with_all_samplers
def test_trials_side_by_side_are_different_too(make: Make, sampler: Sampler) -> None:
    proposer = make(SMALL, sampler, 0)
    assert len({str(proposer.ask(number)[0]) for number in range(12)}) == 12


@with_all_samplers
def test_one_configuration_is_proposed_as_often_as_it_is_asked_for(make: Make, sampler: Sampler) -> None:
    proposer = make({"model": Choice(("mlp",), {"mlp": {}}), "lr": Fixed(0.1)}, sampler, 0)
    assert ask_and_show(proposer, range(12)) == [str({"model": "mlp", "lr": 0.1})] * 12


@pytest.mark.parametrize("sampler", ["gp", "random"])
def test_where_one_branch_is_endless_the_other_may_come_again_only_seldom(make: Make, sampler: Sampler) -> None:
    space: Space = {"optimizer": Choice(("adam", "sgd"), {"adam": {}, "sgd": {"lr": Range(0.1, 1.0)}})}
    configs = ask_and_show(make(space, sampler, 0), range(30))
    assert configs.count(str({"optimizer": "adam"})) == 1


def test_a_reference_named_twice_is_proposed_once(make: Make) -> None:
    parameters = {"mlp.widths": "[8]", "dropout": 0.1, "batch_size": 16}
    references = [Reference(name, {}, parameters, 1, 1, {}) for name in ("one", "two")]
    proposer = make(SMALL, "tpe", 0, references)
    assert [proposer.ask(number)[1] for number in range(12)] == ["one", *["sampler"] * 11]


@with_all_samplers
@pytest.mark.parametrize(("space", "count"), [(SMALL, 12), (CONDITIONAL, 15)], ids=["flat", "conditional"])
def test_what_earlier_searches_proposed_is_not_proposed_again_until_all_has_been(
    make: Make, sampler: Sampler, space: Space, count: int
) -> None:
    earlier = make(space, sampler, 0)
    proposed = ask_and_show(earlier, range(7))
    proposer = make(space, sampler, 0, past=earlier.trials)
    assert len({*proposed, *ask_and_show(proposer, range(count - 7))}) == count
    assert ask_and_show(proposer, range(3))


@with_all_samplers
def test_the_seed_of_an_earlier_search_draws_anew_after_it(make: Make, sampler: Sampler) -> None:
    space: Space = {"lr": Range(1e-3, 1.0)}
    earlier = make(space, sampler, 0)
    proposed = ask_and_show(earlier, range(20))
    again, after = (ask_and_show(make(space, sampler, 0, past=past), range(20)) for past in ((), earlier.trials))
    assert proposed == again
    assert not {*proposed} & {*after}
    assert after == ask_and_show(make(space, sampler, 0, past=earlier.trials), range(20))

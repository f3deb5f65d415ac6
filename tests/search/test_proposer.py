"""Proposals that a limit on the model's size rejects."""

from pathlib import Path

import pytest
from conf_document import message_of

from search import conf
from search.proposer import Proposer
from search.space import Config

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

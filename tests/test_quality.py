"""The replay of recorded curves, on made-up ones."""

import math

import numpy as np
import pytest

from benchmarks import quality, replay
from benchmarks.curves import GRIDS, Grid

GRID = Grid(
    "digits",
    {},
    epochs=9,
    seeds=2,
    families={
        "mlp": {"widths": [[8], [16]], "lr": [1e-3, 1e-2, 1e-1]},
        "cnn": {"channels": [[4], [8]], "lr": [1e-3, 1e-2]},
    },
    fixed={"batch_size": 32},
)


@pytest.fixture
def table(tmp_path, monkeypatch) -> replay.Table:
    """Configuration k has the loss 1 + k + 1 / epoch, half a thousandth more for the second seed."""
    configurations = len(list(GRID.configurations()))
    curves = 1 + np.arange(configurations)[:, None, None] + 1 / np.arange(1, 10) + np.array([0, 5e-4])[:, None]
    np.savez(tmp_path / "made.npz", curves=curves, seconds=np.linspace(1, 2, configurations))
    monkeypatch.setattr(replay, "FOLDER", tmp_path)
    monkeypatch.setitem(GRIDS, "made", GRID)
    return replay.Table("made")


@pytest.mark.parametrize(
    ("config", "place"),
    [
        ({"model": "mlp", "mlp.widths": [8], "mlp.lr": 1e-3}, 0),
        ({"model": "mlp", "mlp.widths": [16], "mlp.lr": 2e-2}, 4),
        ({"model": "mlp", "mlp.widths": [16], "mlp.lr": 4e-2}, 5),
        ({"model": "cnn", "cnn.channels": [8], "cnn.lr": 1e-2}, 9),
    ],
)
def test_a_proposal_is_taken_for_the_nearest_of_the_grid(table, config, place):
    assert table.place(config) == place
    assert len(table.places) == 10
    assert table.true[place] == pytest.approx(1 + place + 1 / 9 + 2.5e-4)


@pytest.mark.parametrize("system", quality.SYSTEMS)
def test_every_system_finds_what_it_says_within_the_epochs(table, system):
    outcome = replay.simulate(table, quality.SYSTEMS[system](table, 3), 3, 40 * 9)
    assert outcome.completed >= 1
    assert outcome.spent == sorted(outcome.spent)
    assert outcome.spent[-1] <= 40 * 9
    assert outcome.at(math.inf) in table.true
    assert outcome.at(math.inf, "proposed") <= outcome.at(math.inf)
    assert math.isnan(outcome.at(0))


def test_ours_lets_a_third_of_each_rung_go_on(table):
    system = quality.Ours(table, 0, sampler="random")
    replay.simulate(table, system, 0, 60 * 9)
    trials = system.driver.history.searched()
    came = {epochs: sum(trial.epochs >= epochs for trial in trials) for epochs in (1, 3, 9)}
    for milestone, after in ((1, 3), (3, 9)):
        assert came[after] == pytest.approx(came[milestone] / 3, rel=0.2)


def test_the_ratio_is_that_of_paired_searches_with_its_interval():
    mine, other = np.array([1.0, 2.0, 4.0]), np.array([2.0, 4.0, 8.0])
    assert quality.ratio(mine, other) == pytest.approx((0.5, 0.5, 0.5))

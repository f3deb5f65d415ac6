from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from benchmarks import bayes
from datasets import spiral
from trainables.models import build


def density(point, k):
    def integrand(t):
        offset = point - spiral.arm(np.array(k), np.array(t))
        return np.exp(-(offset @ offset) / (2 * spiral.noise(t) ** 2)) / spiral.noise(t) ** 2

    nearest = min(np.linspace(0, 1, 201), key=lambda t: np.linalg.norm(point - spiral.arm(np.array(k), np.array(t))))
    return quad(integrand, 0, 1, points=[nearest], limit=200)[0]


@pytest.mark.parametrize("point", [(0.004, 0.003), (-0.01, 0.002), (0.3, 0.1), (0.9, -0.1), (0.0, 0.0)])
def test_the_posterior_is_the_integral_of_each_arms_density(point):
    densities = np.array([density(np.array(point), k) for k in range(spiral.ARMS)])
    np.testing.assert_allclose(bayes.posterior(np.array([point]))[0], densities / densities.sum(), rtol=1e-3, atol=1e-9)


def test_bayes_rule_errs_as_often_as_its_posterior_says():
    drawn = spiral.generate(500, 7)
    posterior = bayes.posterior(drawn.inputs)
    wrong, nll = bayes.figures(posterior, drawn.targets)
    chances = posterior.max(1)
    assert abs(wrong - (1 - chances).sum()) < 4 * np.sqrt((chances * (1 - chances)).sum())
    assert nll == pytest.approx(-np.log(posterior[np.arange(500), drawn.targets]).mean())


def write(path: Path, features: int) -> str:
    model = build("mlp", [features], 5, {"widths": [2]})
    checkpoint = {
        "config": {"model": "mlp", "widths": [2]},
        "input_shape": [features],
        "classes": list("abcde"),
        "folds": [{"best": model.state_dict()}],
    }
    torch.save(checkpoint, path)
    return str(path)


def test_a_model_stands_beside_the_rule_on_the_same_points(tmp_path, capsys, monkeypatch):
    few = spiral.load(tmp_path, test=100)
    monkeypatch.setattr(spiral, "load", lambda _root: few)
    model = write(tmp_path / "best.pt", features=2)
    assert bayes.main([model]) == 0
    _, _, rule, row = capsys.readouterr().out.splitlines()
    bayes_wrong, _ = bayes.figures(bayes.posterior(few.test.inputs), few.test.targets)
    assert rule.split()[:4] == ["Bayes", f"{100 - bayes_wrong:.2f}", "%", "+0.00"]
    wrong, _ = bayes.figures(bayes.of_checkpoint(Path(model), few.test.inputs), few.test.targets)
    assert row.split()[1:5] == [f"{100 - wrong:.2f}", "%", f"{bayes_wrong - wrong:+.2f}", str(wrong)]


@pytest.mark.parametrize(
    ("features", "message"), [(None, "no file"), (3, r"5 classes and inputs \[3\]; must be of 5 and \[2\]")]
)
def test_files_of_something_else_are_refused(features, message, tmp_path):
    path = tmp_path / "best.pt"
    if features:
        write(path, features)
    with pytest.raises(bayes.UserError, match=message):
        bayes.of_checkpoint(path, np.zeros((1, 2), np.float32))

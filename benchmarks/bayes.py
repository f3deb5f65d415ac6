"""``python -m benchmarks.bayes [best.pt ...]``: how near a model of the spiral task comes to the best there can be.

The generator's density is known, so the posterior of each arm is too: the integral of the Gaussian around its line.
Bayes' rule with it errs least on average; on the very test points a model may err a little less by chance. The figures
are of the same test points for the rule and for each checkpoint file.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import datasets
from datasets.errors import UserError
from datasets.spiral import ARMS, arm, noise

_NODES = 4001  # a twentieth of the smallest noise apart
_POINTS_A_PIECE = 250


def posterior(points: np.ndarray) -> np.ndarray:
    """Probability of each arm at ``points``, shape (points, 2), as float64 of shape (points, arms).

    The arms are equally likely; each one's density is integrated over its places t by the midpoint rule.
    """
    t = (np.arange(_NODES) + 0.5) / _NODES
    variance = noise(t) ** 2
    lines = arm(np.arange(ARMS)[:, None], t)
    density = np.empty((len(points), ARMS))
    for start in range(0, len(points), _POINTS_A_PIECE):
        piece = points[start : start + _POINTS_A_PIECE].astype(np.float64)
        for number, line in enumerate(lines):
            x, y = piece[:, :1] - line[:, 0], piece[:, 1:] - line[:, 1]
            density[start : start + len(piece), number] = (np.exp(-(x * x + y * y) / (2 * variance)) / variance).mean(1)
    return density / density.sum(1, keepdims=True)


def figures(probabilities: np.ndarray, targets: np.ndarray) -> tuple[int, float]:
    """Wrong predictions, and the mean negative log-likelihood in nats, of probabilities of shape (examples, arms)."""
    likelihood = probabilities[np.arange(len(targets)), targets]
    return int((probabilities.argmax(1) != targets).sum()), float(-np.log(likelihood).mean())


def of_checkpoint(path: Path, points: np.ndarray) -> np.ndarray:
    """A checkpoint's probabilities at ``points``, shape (points, arms).

    Raises:
        UserError: no such file, or a model of other data.
    """
    from trainables.training import load_checkpoint, probabilities

    if not path.is_file():
        raise UserError(f"no file {path}: give the best.pt of a run's folder")
    checkpoint = load_checkpoint(path)
    if checkpoint["input_shape"] != [2] or len(checkpoint["classes"]) != ARMS:
        classes, shape = len(checkpoint["classes"]), checkpoint["input_shape"]
        raise UserError(f"{path}: a model of {classes} classes and inputs {shape}; must be of {ARMS} and [2], a spiral")
    return probabilities(checkpoint, points)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bayes", description="The spiral task beside Bayes")
    parser.add_argument("checkpoints", nargs="*", type=Path, metavar="best.pt", help="of spiral searches")
    parser.add_argument("--data-root", type=Path, default=Path("data"), help="where datasets lie (default: data)")
    options = parser.parse_args(arguments)
    try:
        dataset = datasets.load("spiral", options.data_root, {})
        test = dataset.test
        assert test is not None
        models = [(str(path), of_checkpoint(path, test.inputs)) for path in options.checkpoints]
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    rows = [(name, *figures(each, test.targets)) for name, each in [("Bayes", posterior(test.inputs)), *models]]
    width = max(len(name) for name, *_ in rows)
    print(f"{len(test)} test points, {dataset.origin}")
    print(f"{'':{width}}  accuracy  to Bayes  wrong     NLL")
    for name, wrong, nll in rows:
        gap = 100 * (rows[0][1] - wrong) / len(test)
        print(f"{name:{width}}  {100 - 100 * wrong / len(test):6.2f} %  {gap:+8.2f}  {wrong:5d}  {nll:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

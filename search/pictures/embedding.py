"""What a model makes of validation examples before it decides: its last features, embedded in the plane and in 3-D."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.lines import Line2D

from search.pictures import style

FEWEST_EMBEDDED = 10
_PERPLEXITY, _ITERATIONS, _EXAGGERATION = 30.0, 500, 4.0


def embedding(
    places: Sequence[np.ndarray],
    targets: np.ndarray,
    guesses: np.ndarray,
    classes: Sequence[str],
    among: int,
    title: str,
    path: Path,
) -> None:
    """Each example coloured and marked by its class, those that the model takes for another one ringed.

    ``places``: in the plane and in space, shapes (n, 2) and (n, 3), see ``embedded``; ``targets``, ``guesses``: true
    and predicted classes, shape (n,); ``among``: how many validation examples there are.
    """
    wrong = guesses != targets
    figure = style.sheet(13.0, 6.2, title)
    plane, space = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2, projection="3d")
    sample = f"{len(targets):,} of {among:,}" if len(targets) < among else f"{among:,}"
    plane.set_title(f"{sample} validation examples, {wrong.sum()} wrong", fontsize=11)
    space.set_title("the same in three dimensions", fontsize=11)
    for axes, where in zip((plane, space), places, strict=True):
        _scatter(axes, where, targets, wrong)
    ring = Line2D([], [], color="black", marker="o", markerfacecolor="none", markersize=10, linestyle="none",
                  label="wrong: ringed")  # fmt: skip
    style.class_legend(space, classes, [ring] if wrong.any() else [])
    style.save(figure, path)


def embedded(features: np.ndarray, dimensions: int) -> np.ndarray:
    """Places, shape (n, dimensions), for features, shape (n, features), of 10 examples or more.

    By t-SNE (van der Maaten & Hinton, JMLR 2008) of scikit-learn. It starts from the principal components, or where
    there are fewer features than dimensions from seeded noise. Distances are those of the features as they are. Runs in
    one thread; the same features always give the same places.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    centred = features.astype(np.float64) - features.mean(0, dtype=np.float64)
    size = np.abs(centred).max()
    if not 0 < size < np.inf:  # all are the same, or some are no numbers
        return np.zeros((len(features), dimensions))
    method = TSNE(
        dimensions,
        perplexity=min(_PERPLEXITY, (len(features) - 1) / 3),
        max_iter=_ITERATIONS,
        early_exaggeration=_EXAGGERATION,
        learning_rate=len(features) / _EXAGGERATION / 4,  # "auto" without its floor, which flings few examples apart
        init="pca" if features.shape[1] >= dimensions else "random",
        random_state=0,
    )
    with threadpool_limits(1, user_api="openmp"):
        places: np.ndarray = method.fit_transform(centred / size)
    return places


def _scatter(axes: Any, places: np.ndarray, targets: np.ndarray, wrong: np.ndarray) -> None:
    size = float(np.clip(12000 / len(targets), 12, 36))
    for chosen in (~wrong, wrong):
        for target in np.unique(targets[chosen]):
            colour, marker = style.of_class(int(target))
            mine = places[chosen & (targets == target)].T
            axes.scatter(*mine, s=size, c=colour, marker=marker, edgecolors="white", linewidths=0.2)
    axes.scatter(*places[wrong].T, s=2.5 * size + 40, facecolors="none", edgecolors="black", linewidths=1.2)
    axes.tick_params(labelbottom=False, labelleft=False, length=0)
    axes.grid(alpha=0.25, linewidth=0.6)

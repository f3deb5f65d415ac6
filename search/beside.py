"""Trials that are trained to their own end beside a search."""

from dataclasses import dataclass

import numpy as np

from search.history import Apart
from search.space import Config


@dataclass(frozen=True)
class Beside:
    """A trial to be trained to its own end beside the search: not judged, told or ranked, and in no epoch budget."""

    kind: Apart
    origin: str
    config: Config
    epochs: int
    patience: int
    seed: int
    split: int | None = None
    """The seed of a validation split of its own; None for the search's."""


def trial_seed(search_seed: int, place: int) -> int:
    """A trial's seed, from the search's seed and the trial's place among those that count."""
    return int(np.random.SeedSequence([search_seed, place]).generate_state(1)[0])

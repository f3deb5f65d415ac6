"""Early stopping at rungs, decided asynchronously (ASHA, median rule): a pure table of values by rung."""

from collections.abc import Sequence

import numpy as np


class Rungs:
    """At each milestone a trial goes on if it is among the best ``1 / reduction_factor`` of those seen there before.

    With milestones at the factor's powers, the stopping rule of ASHA (Li et al., arXiv 1810.05934) as Ray Tune has it.
    With a factor of 2 and evenly spaced milestones, the median rule (Golovin et al., KDD 2017)
    on best values so far, as Optuna's MedianPruner has it. The first at a rung goes on, and a value equal to the
    cut-off too. Less is better. Each group (model family) has rungs of its own: families learn at different speeds, and
    each one's best is reported.
    """

    def __init__(self, milestones: Sequence[int], reduction_factor: int) -> None:
        self.milestones = tuple(milestones)
        self.reduction_factor = reduction_factor
        self.values: dict[tuple[str, int], dict[int, float]] = {}

    def judge(self, group: str, trial: int, milestone: int, value: float) -> float | None:
        """Records the trial's best value at a milestone.

        Returns:
            The cut-off that it missed, or None where it goes on. A trial judged before at this rung goes on.
        """
        rung = self.values.setdefault((group, milestone), {})
        if trial in rung:
            return None
        earlier = list(rung.values())
        rung[trial] = value
        if not earlier:
            return None
        cutoff = float(np.percentile(earlier, 100 / self.reduction_factor))
        return cutoff if value > cutoff else None

    def first_missed(self, group: str, trial: int, value: float) -> int | None:
        """The first rung that a value carried through all the trial has not yet reached would miss, or None."""
        for milestone in self.milestones:
            if self.judge(group, trial, milestone, value) is not None:
                return milestone
        return None

    def reached(self) -> dict[int, int]:
        """How many trials were judged at each milestone."""
        counts = dict.fromkeys(self.milestones, 0)
        for (_, milestone), rung in self.values.items():
            counts[milestone] += len(rung)
        return counts

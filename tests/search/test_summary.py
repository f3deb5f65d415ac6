"""What the summary says of the workers' time."""

import pytest
from growing_search import Search

from search.summary import busy_share


@pytest.mark.parametrize("back_on_its_worker", [False, True])
def test_the_workers_time_counts_until_the_last_proposal_not_the_last_promotion(back_on_its_worker: bool) -> None:
    search = Search()
    search.history.apply({"event": "search", "time": search.time, "slots": 2})
    for seconds in (8, 4):
        trial = search.start()
        search.time += seconds
        search.report(trial, 8, seconds=seconds / 8)
        search.pause(trial)
    search.start()
    if back_on_its_worker:
        search.time += 100
        search.promote(0)
        search.time += 16
        search.event("start", 0, worker={})
        search.report(0, 24)
        search.end(0)
    assert busy_share(search.history) == pytest.approx((8 + 4) / (2 * 12))


def test_slots_that_come_and_go_count_while_they_are_there() -> None:
    search = Search()
    search.history.apply({"event": "search", "time": search.time, "slots": 1})
    trial = search.start()
    search.time += 10
    search.report(trial, 10, seconds=1)
    search.history.apply({"event": "slots", "time": search.time, "slots": 3})
    search.time += 10
    search.report(trial, 20, seconds=1)
    search.start()
    assert busy_share(search.history) == pytest.approx((10 + 10) / (10 + 3 * 10))

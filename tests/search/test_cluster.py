"""What a cluster's nodes can hold, from what Ray says of them."""

import pytest
from conf_document import message_of

from search.cluster import check_object_store, gpus_for, slots

SMALL, LARGE = {"CPU": 2.0, "object_store_memory": 1e9}, {"CPU": 8.0, "GPU": 2.0, "object_store_memory": 4e9}


@pytest.mark.parametrize(
    ("nodes", "cpus", "gpus", "count"),
    [
        ([SMALL], 1, 0, 2),
        ([SMALL], 0.5, 0, 4),
        ([SMALL, LARGE], 1, 0, 10),
        ([SMALL, LARGE], 1, 1, 2),
        ([SMALL, LARGE], 1, 0.5, 4),
        ([SMALL, LARGE], 4, 0.25, 2),
        ([SMALL, LARGE], 1, 2, 1),
    ],
)
def test_slots_are_what_fits_on_each_node(nodes, cpus, gpus, count):
    assert slots(nodes, cpus, gpus) == count


def test_a_trial_that_fits_on_no_node_is_one_line():
    message = message_of(slots, [SMALL], 1, 0.5)
    assert message.startswith(
        "no node has what a trial asks for, 1 CPUs and 0.5 GPUs: the largest have 2 CPUs and 0 GPUs"
    )


@pytest.mark.parametrize(("kinds", "grows"), [([LARGE], True), ([], True)])
def test_a_node_that_may_join_is_waited_for(kinds, grows):
    assert slots([SMALL], 1, 0.5, kinds, grows=grows) == 1


def test_a_trial_that_fits_on_no_node_that_may_join_is_one_line():
    assert "the largest have 8 CPUs and 2 GPUs" in message_of(slots, [SMALL], 16, 0, [LARGE], grows=True)


@pytest.mark.parametrize(
    ("nodes", "asked", "gpus"), [([SMALL], None, 0), ([SMALL, LARGE], None, 1), ([SMALL], 0.5, 0.5)]
)
def test_a_trial_gets_a_gpu_where_there_is_one(nodes, asked, gpus):
    assert gpus_for(nodes, asked) == gpus


def test_data_must_fit_into_the_smallest_object_store():
    check_object_store([SMALL, LARGE], 10**9)
    message = message_of(check_object_store, [SMALL, LARGE], 1_500_000_000)
    assert message.startswith(
        "the development examples take 1.50 GB, Ray's object store holds 1.00 GB on the smallest node: "
    )
    assert "--set dataset.side=" in message
    assert "--object-store-memory" in message

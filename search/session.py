"""What every command that trains stands on: Ray and the data, interruption, and the end of what was started."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from datasets.command_line import INTERRUPTED
from search.task import Task

if TYPE_CHECKING:
    from datasets import Dataset
    from search.driver import Driver
    from search.place import Place
    from search.progress import ProgressView
    from search.reading import Wanted
    from trainables.models import State
    from trainables.trial import Plan

_WITHOUT_RAY = "error: Ray has ended; what was reported is kept: --resume NAME goes on with it"
_SECONDS_BETWEEN_LOOKS = 1.0
_NOTICE = "stopping: running trials are cancelled, what is there is tested (again: at once)"


@dataclass(frozen=True)
class Resources:
    """What a trial gets, and how many run side by side."""

    cpus: float
    gpus: float
    slots: int


def _prepare_the_end() -> None:
    """Imports on a thread what the end takes seconds for."""

    def prepare() -> None:
        import sklearn.manifold  # noqa: F401

        import search.drawing  # noqa: F401
        from search import importance

        importance.prepare()

    threading.Thread(target=prepare, daemon=True).start()


class Session:
    """One command's stay on a cluster."""

    def __init__(
        self, task: Task, data_root: Path | None, ray_address: str | None, wanted: "Wanted", tracking_uri: str
    ) -> None:
        """``wanted``: the published weights that trials need."""
        self.task, self.data_root, self.ray_address, self.wanted = task, data_root, ray_address, wanted
        self.tracking_uri = tracking_uri
        self.weights: dict[str, State] = {}
        self.began = time.monotonic()
        self.interruptions = 0
        self._ending = threading.Event()
        self.said = ""
        """Of the cluster, when it was joined."""
        self._driver: Driver | None = None
        self._progress: ProgressView | None = None

    @contextmanager
    def opened(self) -> Iterator["Dataset"]:
        """Connects to Ray, or starts it, and reads the data meanwhile; leaves or ends Ray afterwards.

        Raises:
            UserError: no cluster, no data, or no weights that are wanted; data that the nodes cannot hold.
        """
        from search import cluster

        if self.ray_address:
            cluster.check_address(self.ray_address)
        with ExitStack() as at_end:
            at_end.callback(cluster.disconnect)
            reading: Future[Dataset] = Future()
            # A daemon: an interrupted download must not keep the command from ending.
            threading.Thread(target=self._read, args=(reading,), daemon=True).start()
            self.said = cluster.connect(self.ray_address)
            dataset = reading.result()
            cluster.check_object_store(cluster.joined_nodes(), dataset.nbytes)
            for number in (signal.SIGINT, signal.SIGTERM):  # only now: Ray's start sets handlers of its own
                at_end.callback(signal.signal, number, signal.signal(number, self._interrupt))
            threading.Thread(target=self._end_with_ray, daemon=True).start()
            at_end.callback(self._ending.set)
            yield dataset

    def _read(self, reading: "Future[Dataset]") -> None:
        """Reads the data, and imports what takes long, while Ray is starting."""
        try:
            from search.reading import read, read_weights

            self.weights = read_weights(self.task, self.data_root, self.wanted)
            dataset = read(self.task, self.data_root)
            import search.proposer
            import search.tuning  # noqa: F401
            from search import recorder

            recorder.import_mlflow()
        except BaseException as error:  # raised again where the result is asked for
            reading.set_exception(error)
            return
        reading.set_result(dataset)
        with suppress(Exception):  # the recorder will meet it, and try again
            recorder.open_store(self.tracking_uri)

    def resources(self, cpus: float, gpus: float | None) -> Resources:
        """What a trial gets of the cluster.

        Raises:
            UserError: no node has as much, and none that has may join.
        """
        from search import cluster
        from search.nodes import autoscaler

        nodes, grows = cluster.joined_nodes(), autoscaler()
        kinds = grows.kinds if grows else ()
        gpus = cluster.gpus_for([*nodes, *kinds], gpus)
        return Resources(cpus, gpus, cluster.slots(nodes, cpus, gpus, kinds, grows=grows is not None))

    def train(
        self,
        driver: "Driver",
        dataset: "Dataset",
        plan: "Plan",
        place: "Place",
        most: int,
        progress: "ProgressView",
    ) -> None:
        """Runs the driver's trials, at most so many side by side; whatever breaks, none is left running in the log."""
        from search import cluster, nodes
        from search.tuning import run_trials
        from trainables.trial import torch_learning

        demand = nodes.Demand(plan.cpus, plan.gpus) if nodes.autoscaler() else None

        def slots() -> int:
            driver.interrupted |= place.taken
            now = min(most, cluster.fitting(cluster.joined_nodes(), plan.cpus, plan.gpus))
            progress.slots = now or progress.slots
            if demand:
                demand.ask(min(most, driver.waiting + driver.history.counts().get("running", 0)) - now)
            return now

        if self.said:
            progress.say(self.said)
        self._driver, self._progress = driver, progress
        progress.begin(lambda: driver.budgets.spent(driver.history))
        try:
            learning = partial(torch_learning, weights=self.weights)
            slots_at_first = max(1, slots())
            run_trials(driver, dataset.blind(), plan, place.storage, slots_at_first, learning, slots, _prepare_the_end)
        finally:
            driver.end()
            progress.end()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.interruptions += 1
        if self.interruptions > 1:
            os._exit(INTERRUPTED)
        if self._driver is None or self._progress is None:
            raise KeyboardInterrupt
        self._driver.interrupted = True
        self._progress.interrupted(_NOTICE)

    def _end_with_ray(self) -> None:
        """Where Ray was killed, or got the signal too, the main thread would wait a minute for it, deaf to signals."""
        from search import cluster

        while not self._ending.wait(_SECONDS_BETWEEN_LOOKS):
            if cluster.has_died() and not self._ending.is_set():
                os.write(2, f"{_WITHOUT_RAY}\n".encode())
                os._exit(INTERRUPTED)

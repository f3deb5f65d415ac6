"""Our command as it is, which notes besides what its recorder computed.

``python -m benchmarks.rungs_search FILE ...`` is ``python -m search.run ...``, and writes to FILE the processor seconds
of the recorder's thread, when that has ended.
"""

import sys
import threading
import time
from pathlib import Path

from search import run

THREAD = "recorder"


def main() -> int:
    """The command's exit code."""
    file = Path(sys.argv[1])
    run_thread = threading.Thread.run

    def timed(thread: threading.Thread) -> None:
        run_thread(thread)
        if thread.name == THREAD:
            file.write_text(repr(time.thread_time()), encoding="ascii")

    # All threads, for the recorder's class is not to be imported any sooner than by the command.
    threading.Thread.run = timed  # type: ignore[method-assign]
    return run.main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())

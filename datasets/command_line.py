"""What every command of ours shares: a parser whose mistakes are the user's, and an end in one line."""

import argparse
import atexit
import gc
import sys
from collections.abc import Callable
from typing import NoReturn

from datasets.errors import UserError, no_space

INTERRUPTED = 130
_ALLOCATIONS = 100_000
"""More than were freed, before Python looks for garbage."""


class Parser(argparse.ArgumentParser):
    """Its errors are ``UserError``."""

    def error(self, message: str) -> NoReturn:
        """Instead of ending the process."""
        raise UserError(f"{message}; --help lists the options")


def guarded(command: Callable[[], int]) -> int:
    """The command's exit code; a mistake of the user's, or a full disk, is said in one line and has the code 2, an
    interruption 130.
    """
    # What Ray, MLflow and others load is some 800,000 objects that stay: with Python's 700, looks through them for
    # garbage take a fifth of the time of their imports, and two seconds at the interpreter's end.
    gc.set_threshold(_ALLOCATIONS)
    atexit.register(gc.freeze)
    try:
        return command()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if (full := no_space(error)) is None:
            raise
        print(f"error: {full.filename or 'a disk'}: no space left", file=sys.stderr)
        return 2

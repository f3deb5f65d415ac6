"""How every command ends."""

import errno
from typing import Any

import pytest

from datasets.command_line import guarded
from datasets.errors import UserError, no_space


def raising(*errors: BaseException) -> Any:
    """A command that raises the first, with the next as its cause or context, and so on."""

    def command() -> int:
        for place, error in enumerate(reversed(errors)):
            if place:
                error.__cause__ = errors[len(errors) - place] if place % 2 else None
                error.__context__ = errors[len(errors) - place]
        raise errors[0]

    return command


FULL = OSError(errno.ENOSPC, "No space left on device", "/runs/mine/events.jsonl")


@pytest.mark.parametrize(
    ("errors", "code", "said"),
    [
        ([UserError("no task 'x'")], 2, "error: no task 'x'\n"),
        ([FULL], 2, "error: /runs/mine/events.jsonl: no space left\n"),
        ([OSError(errno.EDQUOT, "Quota")], 2, "error: a disk: no space left\n"),
        ([RuntimeError("unexpected pos"), ValueError("in between"), FULL], 2, "error: /runs/mine/events.jsonl: *"),
        ([KeyboardInterrupt()], 130, ""),
    ],
)
def test_a_command_ends_in_one_line(
    errors: list[BaseException], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guarded(raising(*errors)) == code
    err = capsys.readouterr().err
    assert err == said or (said.endswith("*") and err.startswith(said[:-1]))


def test_what_is_nobodys_mistake_keeps_its_traceback() -> None:
    with pytest.raises(OSError, match="Permission"):
        guarded(raising(OSError(errno.EACCES, "Permission denied")))
    assert no_space(None) is None

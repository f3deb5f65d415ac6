"""The root of every error that a user can cause and mend."""

import errno


def one_line(message: str) -> str:
    """Without line breaks, and of characters that can be written, whatever file names it has."""
    return " ".join(message.encode(errors="backslashreplace").decode().split())


class UserError(Exception):
    """A mistake of the user's: shown as one line on stderr, exit code 2, no traceback.

    The message names what is wrong, where it stands, and what would be right; see ``one_line``.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def no_space(error: BaseException | None) -> OSError | None:
    """The full disk that an exception came of, if it did: libraries raise their own on top of it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return error
        error = error.__cause__ or error.__context__
    return None

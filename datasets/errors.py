"""The root of every error that a user can cause and mend."""


class UserError(Exception):
    """A mistake of the user's: shown as one line on stderr, exit code 2, no traceback.

    The message names what is wrong, where it stands, and what would be right; line breaks in it become spaces.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))

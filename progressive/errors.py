"""What every kind of bad input has in common."""

from __future__ import annotations


class InputError(ValueError):
    """Bad input, said in one line: what is wrong, its value, and what would be right.

    The command line prints it without a traceback and exits with code 2.
    """

    def __init__(self, message: str) -> None:
        """Take the message; line breaks in it, from a path for example, become blanks."""
        super().__init__(" ".join(message.splitlines()))

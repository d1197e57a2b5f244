"""What Ctrl-C, SIGTERM and SIGUSR1 do to a command: one line and a code, from the first import on.

Python's own way, an exception wherever it happens to be, is a page of traceback while modules are
loaded, and an abort inside native code. Here a signal ends the process at once, or, while a
training defers it, is noted: the batch is finished, the state saved, and the training ends itself.

    exit code 130   Ctrl-C (SIGINT)
    exit code 143   SIGTERM
    exit code 138   SIGUSR1, as Slurm sends it ahead of its time limit
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)

#: Seconds for which a loader process that is told to end may still serve the batch at hand.
GRACE = 5


class Interruption:
    """Takes the signals of this process.

    Attributes:
        asked: the signal that came while signals were deferred.
        advice: what to do next; said where a signal ends the process at once.
    """

    def __init__(self) -> None:
        self.asked: signal.Signals | None = None
        self.advice = "Nothing was saved yet."
        self._deferred = False
        self._process = os.getpid()

    def install(self) -> Callable[[], None]:
        """Take the signals from now on, in the main thread; return what undoes it."""
        before = {number: signal.signal(number, self._take) for number in SIGNALS}

        def restore() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        return restore

    def defer(self) -> None:
        """Let a signal be noted in `asked`; a second Ctrl-C still ends the process at once."""
        self._deferred = True

    def at_once(self) -> None:
        """Let a signal end the process at once, also one that was noted."""
        self._deferred = False
        if self.asked is not None:
            self._end(self.asked)

    def as_exceptions(self) -> None:
        """Let a signal raise KeyboardInterrupt from now on, for a process that only waits."""

        def note(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
            self.asked = signal.Signals(number)
            raise KeyboardInterrupt

        for number in SIGNALS:
            signal.signal(number, note)

    @property
    def code(self) -> int:
        """The exit code of what was asked; that of Ctrl-C before anything was."""
        return exit_code(self.asked or signal.SIGINT)

    def _take(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if os.getpid() != self._process:
            _in_forked_process(number)
        elif not self._deferred or (self.asked and number == signal.SIGINT):
            self._end(signal.Signals(number))
        elif self.asked is None:
            self.asked = signal.Signals(number)
            _say(f"\n{named(self.asked)}: finishing the batch. Ctrl-C ends at once.")

    def _end(self, number: signal.Signals) -> NoReturn:
        _say(f"\n{named(number)}. {self.advice}")
        # Not an exception: native code that calls Python aborts on one. Locks go with the process.
        os._exit(exit_code(number))


def installed() -> Interruption | None:
    """Return what takes the signals of this process, if `install` was called."""
    owner = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return owner if isinstance(owner, Interruption) else None


def exit_code(number: int) -> int:
    """Return the exit code of a process that a signal ended, as shells have it."""
    return 128 + number


def named(number: signal.Signals) -> str:
    """Return what to call a signal."""
    return "Interrupted" if number == signal.SIGINT else f"Stopped by {number.name}"


def _in_forked_process(number: int) -> None:
    """Answer for a loader process, which forked along with the handler.

    A terminal and Slurm signal all processes of a group. The first process decides; but it, too,
    ends its loaders by SIGTERM.
    """
    if number == signal.SIGTERM:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(GRACE)


def _say(text: str) -> None:
    """Write a line to stderr past Python's buffers, which may be in use."""
    with suppress(Exception):
        sys.stdout.flush()
    with suppress(OSError):
        os.write(2, f"{text}\n".encode())

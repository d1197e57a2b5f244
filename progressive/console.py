"""What is written to the terminal, to a log file or to another program."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import textwrap
from typing import Any, Literal

#: How much a run says: everything; the plan, a line an epoch and the result; or JSON lines.
Log = Literal["full", "quiet", "json"]

#: Escape codes of the colours we use.
BOLD, DIM, GREEN, END = "\033[1m", "\033[2m", "\033[32m", "\033[0m"


def is_terminal() -> bool:
    """Tell whether somebody sees what is written now, line by line."""
    return bool(sys.stdout and sys.stdout.isatty())


def may_colour() -> bool:
    """Tell whether colours are wanted: on a terminal that has them, unless NO_COLOR is set."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return is_terminal() and not plain


def paint(text: str, code: str) -> str:
    """Return `text` in a colour, where colours are wanted."""
    return f"{code}{text}{END}" if may_colour() else text


def fitted(text: str) -> str:
    """Return a line, broken where the terminal ends; whole in a log file."""
    if not is_terminal():
        return text
    return textwrap.fill(text, shutil.get_terminal_size().columns, subsequent_indent="    ")


def emit(event: str, **fields: Any) -> None:
    """Write an event as a line of JSON to the process's own standard output.

    While everything else goes to standard error, `sys.stdout` is that; the original is left to us.
    """
    stream = sys.__stdout__ if sys.stdout is sys.stderr else sys.stdout
    if stream is None:
        return
    try:
        stream.write(json.dumps(_finite({"event": event, **fields})) + "\n")
        stream.flush()
    except BrokenPipeError:  # nobody reads any more; training goes on
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _finite(value: Any) -> Any:
    """Return `value` with null for infinity and NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

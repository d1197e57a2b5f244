"""How long the package takes to start, in fresh processes."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.rows import Row

COMMANDS = {
    "seconds of `import progressive`": (("-c", "import progressive"), "<= 0.2"),
    "seconds of `dry_run=true`": (("-m", "progressive.run", "dry_run=true"), "<= 2.0"),
}


def start_times(repeats: int) -> list[Row]:
    """Time each command; Python's own start is in it."""
    return [
        Row(name, tuple(_seconds(arguments) for _ in range(repeats)), target)
        for name, (arguments, target) in COMMANDS.items()
    ]


def _seconds(arguments: tuple[str, ...]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - start

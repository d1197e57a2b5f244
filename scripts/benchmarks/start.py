"""How long the package takes to start, in fresh processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

from benchmarks.rows import Row

COMMANDS = {
    "seconds of `import progressive`": (("-c", "import progressive"), "<= 0.2"),
    "seconds of `dry_run=true`": (("-m", "progressive.run", "dry_run=true"), "<= 0.6"),
}


def start_times(repeats: int) -> list[Row]:
    """Time each command; Python's own start is in it."""
    return [
        Row(name, tuple(_seconds(arguments) for _ in range(repeats)), target)
        for name, (arguments, target) in COMMANDS.items()
    ]


def first_batch(data: str, folder: Path, repeats: int) -> Row:
    """Compare the time from a process's start to its first batch with bare Ultralytics."""
    seconds = defaultdict(list)
    script = Path(__file__).with_name("first_batch.py")
    for _ in range(repeats):
        for arm in ("stock", "progressive"):
            seconds[arm].append(_seconds((str(script), data, str(folder), arm)))
    ratios = [a / b for a, b in zip(seconds["progressive"], seconds["stock"], strict=True)]
    note = ", ".join(f"{arm} {median(found):.1f} s" for arm, found in seconds.items())
    return Row("import to first batch / stock Ultralytics", tuple(ratios), note=note)


def _seconds(arguments: tuple[str, ...]) -> float:
    scripts = str(Path(__file__).parents[1])
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": scripts},
    )
    return time.perf_counter() - start

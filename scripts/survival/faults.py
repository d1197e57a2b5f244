"""Faults for a process that is about to train, and is forked for it: nothing is undone.

A point of a run is a file and a moment of writing it:

    open      before the file, or the one beside it, is opened to be written
    half      half of its bytes are written
    rename    it is written and flushed, but has no name yet
    named     it has its name; what it replaces is not cleaned up yet
"""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import torch

Point = tuple[str, str]

#: What is not watched: written in one step by the system; and drawn last, once all is safe.
LOCK, REPORT = ".lock", ("report", "report.html")


def die() -> NoReturn:
    """End this process as the system does when memory runs out, or a machine is taken away."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def fill_disk() -> NoReturn:
    """Answer as a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def watch_writes(folder: Path, at: Callable[[Point], None]) -> None:
    """Call `at` at every point of this process's writing into a run folder.

    What `at` raises, the writing raises.
    """
    fsync, replace, save = os.fsync, Path.replace, torch.save
    busy = False

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if busy:
            return
        if event == "open" and _writes(arguments) and (name := name_of(folder, arguments[0])):
            at((name, "open"))
        elif event == "os.rename" and (name := name_of(folder, arguments[1])):
            at((name, "rename"))

    def half(path: str | Path) -> None:
        """Cut the file off while `at` is asked; give it back if that lets the run go on."""
        nonlocal busy
        name = name_of(folder, path)
        if name is None:
            return
        busy = True
        content = Path(path).read_bytes()
        os.truncate(path, len(content) // 2)
        at((name, "half"))
        Path(path).write_bytes(content)
        busy = False

    def watched_fsync(number: int) -> None:
        path = Path(f"/proc/self/fd/{number}").readlink()
        if not path.is_dir():
            half(path)
        fsync(number)

    def watched_replace(path: Path, target: Any) -> Path:
        found = replace(path, target)
        if name := name_of(folder, target):
            at((name, "named"))
        return found

    def watched_save(value: Any, path: Any, *more: Any, **options: Any) -> None:
        """Native code writes here, of which no audit hook hears."""
        named = name_of(folder, path) if isinstance(path, (str, Path)) else None
        if named:
            at((named, "open"))
        save(value, path, *more, **options)
        if named:
            half(path)

    os.fsync, Path.replace, torch.save = watched_fsync, watched_replace, watched_save
    sys.addaudithook(audit)


def count_points(folder: Path, counts: Counter[Point]) -> None:
    """Count in `counts` how often this process passes each point."""

    def at(point: Point) -> None:
        counts[point] += 1

    watch_writes(folder, at)


def fail_at(folder: Path, point: Point, passing: int, fault: Callable[[], None]) -> None:
    """Call `fault` when this process passes a point for the `passing`-th time, counted from 1."""
    left = passing

    def at(found: Point) -> None:
        nonlocal left
        left -= found == point
        if found == point and not left:
            fault()

    watch_writes(folder, at)


def name_of(folder: Path, path: Any) -> str | None:
    """Return what to call a file of a run folder; None outside of it."""
    try:
        inner = Path(os.fsdecode(path)).relative_to(folder)
    except (TypeError, ValueError):
        return None
    name = re.sub(r"^\.(.+)\.(tmp|\d+)$", r"\1", inner.name)  # one that is written beside
    if name == LOCK or inner.parts[0] in REPORT:
        return None if name == LOCK else "report"
    return "checkpoint" if name.endswith(".safetensors") else str(inner.with_name(name))


def _writes(arguments: tuple[Any, ...]) -> bool:
    _, mode, flags = arguments
    return (
        bool(flags & (os.O_WRONLY | os.O_RDWR)) if mode is None else bool(set(mode) & set("wax+"))
    )


def kill_in(position: list[int], point: str) -> None:
    """Kill this process in its checkpoint of that position."""
    from progressive.hosts.ultralytics.checkpoints import keeper
    from progressive.runs import checkpoints

    write = checkpoints.write

    def watched(folder: Path, name: str, content: bytes) -> Path:
        last = name == checkpoints.name_of(*position)
        if last and point == "write":
            Path.replace = lambda *_: die()  # the file beside is written, but has no name yet
        path = write(folder, name, content)
        if last:
            die()
        return path

    keeper.checkpoints.write = watched


def leave_out(part: str) -> None:
    """Let a part of the state be kept, but not put back."""
    from progressive.hosts.ultralytics.checkpoints import keeper, parts

    found = parts.PARTS[part]
    parts.PARTS[part] = parts.Part(found.read, lambda *_: None, found.heavy, found.in_epoch)
    if part == "losses":
        keeper._on = lambda _, losses: {
            name: dict.fromkeys(value, torch.zeros(())) if name != "loss" else value
            for name, value in losses.items()
        }

"""The runs of a comparison: each a process of its own in a folder of its own."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from progressive.comparison.arms import Arm
from progressive.errors import InputError
from progressive.runs import checkpoints
from progressive.runs.records import SUMMARY, write_json

#: Seconds between two looks at the processes.
PATIENCE = 0.2


@dataclass(frozen=True)
class Run:
    """One training of a comparison.

    Attributes:
        arm: what is trained.
        seed: with which seed.
        folder: its run folder.
        module: that trains it, followed by the arguments that come first.
        overrides: all others, the device aside.
        go_on: the override that resumes it, where it can be resumed.
    """

    arm: Arm
    seed: int
    folder: Path
    module: tuple[str, ...]
    overrides: tuple[str, ...]
    go_on: str = ""

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.arm.name}, seed {self.seed}"

    @property
    def log(self) -> Path:
        """What its process prints."""
        return self.folder.with_suffix(".log")

    @property
    def request(self) -> Path:
        """What was asked of it."""
        return self.folder.with_suffix(".json")

    @property
    def finished(self) -> bool:
        """Whether it has come to its end."""
        return (self.folder / SUMMARY).is_file()

    @property
    def resumable(self) -> bool:
        """Whether it can go on where it was interrupted; only our trainer's runs can."""
        if self.arm.trainer != "progressive" or self.finished:
            return False
        if checkpoints.exists(self.folder):
            return checkpoints.newest(self.folder)[0] is not None
        return checkpoints.is_whole(self.folder / "weights" / "last.pt")

    @property
    def trained_by(self) -> list[str]:
        """The command that began it, as recorded.

        Raises:
            InputError: the record is damaged.
        """
        found = _read(self.request)
        command = found.get("command") if isinstance(found, dict) else None
        if not isinstance(command, list):
            raise InputError(f"{self.request}: names no command; repeat the run")
        return [str(word) for word in command]

    def command(self, device: str | None = None, *, resume: bool = False) -> list[str]:
        """Return what trains it, as after `python`."""
        where = [f"device={_listed(device)}"] if device else []
        if resume:
            return ["-m", *self.module, self.go_on, *where]
        return ["-m", *self.module, *self.overrides, *where]


def check_reuse(runs: Sequence[Run], place: Mapping[str, Any]) -> None:
    """Check that what lies in the folders of runs belongs to them.

    Args:
        runs: all of them.
        place: what the times of a run depend on beside its settings.

    Raises:
        InputError: a folder is no run of this comparison, or one with other settings or from
            another machine.
    """
    for run in runs:
        if not run.request.exists():
            if run.folder.exists():
                raise InputError(
                    f"output: {run.folder} is no run of a comparison; name another folder"
                )
            continue
        found = _read(run.request)
        if not isinstance(found, dict) or found.get("asked") != _plain(run.arm.asked):
            raise InputError(
                f"output: {run.folder} was trained with other settings{_first(found, run)}; "
                "name another folder"
            )
        before = found.get("place", place)  # not in records of earlier versions
        if run.finished and before != place:
            raise InputError(
                f"output: {run.folder} was trained on {_words(before)}, and this is "
                f"{_words(place)}: their times cannot be compared; name another folder"
            )


def take_turns(
    runs: Sequence[Run],
    devices: Sequence[str | None],
    place: Mapping[str, Any],
    tell: Callable[[Run, float], None],
) -> None:
    """Train what is not finished, in order, one run per device at a time.

    Args:
        runs: all of them.
        devices: where; None leaves the choice to the run.
        place: what is kept of the machine beside each run.
        tell: is called for each finished run with the seconds it took now, 0 if it was there.

    Raises:
        InputError: a run has failed; the others are interrupted and can go on later.
    """
    waiting = [run for run in runs if not run.finished]
    for run in runs:
        if run.finished:
            tell(run, 0.0)
    busy: dict[str | None, _Process] = {}
    try:
        while waiting or busy:
            for device in devices:
                if device not in busy and waiting:
                    busy[device] = _Process(waiting.pop(0), device, place)
            time.sleep(PATIENCE)
            for device, process in list(busy.items()):
                if process.ended():
                    del busy[device]
                    tell(process.run, process.seconds)
    finally:
        for process in busy.values():
            process.interrupt()


class _Process:
    """A run at work: where it was interrupted, or from the start if nothing whole was saved."""

    def __init__(self, run: Run, device: str | None, place: Mapping[str, Any]) -> None:
        self.run, self.device, self.place = run, device, place
        self._began = time.monotonic()
        self._start(resume=run.resumable)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def ended(self) -> bool:
        """Tell whether it has finished.

        Raises:
            InputError: it has failed; what it has saved stays.
        """
        code = self._process.poll()
        if code is None:
            return False
        if code == 0 and self.run.finished:
            return True
        said = self.run.log.read_text("utf-8", errors="replace").strip().rpartition("\n")[2]
        raise InputError(f"{self.run.name}: failed with code {code}: {said}; see {self.run.log}")

    def interrupt(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _start(self, *, resume: bool) -> None:
        run = self.run
        if not resume:
            shutil.rmtree(run.folder, ignore_errors=True)
            command = ["python", *run.command(self.device)]
            asked = {"command": command, "asked": run.arm.asked, "place": dict(self.place)}
            write_json(run.request, asked)
        command = [sys.executable, *run.command(self.device, resume=resume)]
        with run.log.open("ab" if resume else "wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us, who pass it on once
            )


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None


def _plain(value: Any) -> Any:
    """Return what JSON makes of a value."""
    return json.loads(json.dumps(value))


def _words(place: Any) -> str:
    return ", ".join(map(str, place.values())) if isinstance(place, dict) else str(place)


def _first(found: Any, run: Run) -> str:
    """Name the first key in which a request differs."""
    try:
        settings, asked = found["asked"]["settings"], _plain(run.arm.asked)["settings"]
        keys = [key for key in asked if settings.get(key) != asked[key]]
        return f" ({keys[0]}={settings.get(keys[0])}, not {asked[keys[0]]})" if keys else ""
    except (TypeError, KeyError, AttributeError):
        return ""


def _listed(device: str) -> str:
    return f"[{device}]" if "," in device else device

"""Trainings with one fault each, and what became of them."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from survival.data import write_boxes
from survival.ending import OFTEN, RUN, differences
from survival.faults import LOCK, Point
from survival.process import fork, prepare, warm
from tabulate import tabulate

from progressive.runs import checkpoints

#: A training that its faults do not let end after so many starts is lost.
STARTS = 6

#: How the same fault is called in the table.
KINDS = {
    "random": "SIGKILL at a random moment",
    "checkpoint": "SIGKILL inside the write of a checkpoint",
    "write": "SIGKILL inside another write",
    "term": "SIGTERM at a random moment",
    "full": "disk full at a write",
    "damaged": "a damaged file",
}


def _put_zeros(path: Path) -> None:
    content = path.read_bytes()
    middle, zeros = len(content) // 2, bytes(min(4096, len(content) // 2))
    path.write_bytes(content[:middle] + zeros + content[middle + len(zeros) :])


def _halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


WAYS: tuple[tuple[str, Callable[[Path], Any]], ...] = (
    ("emptied", lambda path: path.write_bytes(b"")),
    ("cut in half", _halve),
    ("zeros in the middle", _put_zeros),
    ("deleted", Path.unlink),
)


@dataclass(frozen=True)
class Outcome:
    """What became of a training.

    Attributes:
        kind: of the fault, a key of `KINDS`.
        fault: in words.
        codes: exit code of every start; -9 is a SIGKILL.
        differing: what differs from the run that nothing happened to.
    """

    kind: str
    fault: str
    codes: tuple[int, ...]
    differing: tuple[str, ...]

    @property
    def survived(self) -> bool:
        """Whether the training ended, and as if nothing had happened."""
        return not self.differing


class Trial:
    """Trainings of one folder.

    Args:
        place: for data, runs and logs.
        seed: of the random moments.
    """

    def __init__(self, place: Path, seed: int) -> None:
        self.place = place.resolve()
        self.random = random.Random(seed)
        self.outcomes: list[Outcome] = []
        self.place.mkdir(parents=True, exist_ok=True)
        self.data = write_boxes(self.place / "data")
        self.whole = self.place / "whole"
        self.seconds = 0.0  # that a training takes
        self.counts: Counter[Point] = Counter()
        prepare()
        warm(self._case(self.place / "warm"))

    def everything(self, kills: int, terms: int, full: int | None, damaged: int | None) -> None:
        """Train once without a fault, and then once with each."""
        counted = self.place / "points.json"
        begun = time.monotonic()
        code = fork(self._case(self.whole, OFTEN, folder=str(self.whole), count=str(counted)))
        if code:
            raise SystemExit(f"the run without a fault failed: {self.whole}.log")
        self.seconds = time.monotonic() - begun
        for file, moment, number in json.loads(counted.read_text()):
            self.counts[file, moment] = number
        within = (kills + 1) // 2
        for number in range(kills):
            if number < within:
                self._die_at(number)
            else:
                self._stop(signal.SIGKILL, "random")
        for _ in range(terms):
            self._stop(signal.SIGTERM, "term")
        fillable = [point for point in self.counts if point[1] in ("open", "half")]
        for point in self._some(fillable, full):
            self._fill_disk(point)
        self._damage_all(damaged)

    @property
    def passed(self) -> bool:
        """Whether every training has ended as if nothing had happened."""
        return all(outcome.survived for outcome in self.outcomes)

    def table(self) -> str:
        """Return a row for each kind of fault."""
        found: dict[str, list[Outcome]] = defaultdict(list)
        for outcome in self.outcomes:
            found[outcome.kind].append(outcome)
        rows = [
            (KINDS[kind], len(found[kind]), f"{sum(o.survived for o in found[kind])}")
            for kind in KINDS
            if kind in found
        ]
        headers = ("fault", "trainings", "ended as the one without")
        return tabulate(rows, headers=headers, tablefmt="github")

    def _die_at(self, number: int) -> None:
        """Kill a training inside a write: of a checkpoint two times of three."""
        inside = [point for point in self.counts if point[0] == "checkpoint"]
        others = [point for point in self.counts if point[0] != "checkpoint"]
        kind = "write" if number % 3 == 2 else "checkpoint"
        point = self.random.choice(sorted(others if kind == "write" else inside))
        self._with_fault(kind, point, "die")

    def _fill_disk(self, point: Point) -> None:
        self._with_fault("full", point, "fill_disk")

    def _with_fault(self, kind: str, point: Point, fault: str) -> None:
        passing = self.random.randint(1, self.counts[point])
        folder = self._folder()
        more = {"folder": str(folder), "at": point, "passing": passing, "fault": fault}
        said = f"{point[0]}, {point[1]}, passing {passing} of {self.counts[point]}"
        codes = [fork(self._case(folder, OFTEN, **more))]
        assert fault != "die" or codes == [-signal.SIGKILL], f"{said} was not passed: {codes}"
        self._go_on(kind, said, folder, codes)

    def _stop(self, number: signal.Signals, kind: str) -> None:
        """Send a signal at a random moment, and with luck another to the one that goes on."""
        folder = self._folder()
        often = self.random.choice((OFTEN, "save_minutes=10"))
        codes: list[int] = []
        said: list[str] = []
        while not codes or (codes[-1] and len(codes) < STARTS - 1 and self.random.random() < 0.4):
            moment, begun = self.random.uniform(0.5, self.seconds), time.monotonic()
            code = fork(self._next(folder, often), (moment, number))
            if code or codes:
                codes.append(code)
                said.append(f"{moment:.1f} s")
            else:  # it had ended before: no fault at all
                self.seconds = min(self.seconds, time.monotonic() - begun)
                shutil.rmtree(folder)
        self._go_on(kind, f"after {', '.join(said)}", folder, codes)

    def _damage_all(self, most: int | None) -> None:
        """Damage each file of a training that was killed within an epoch."""
        killed = self.place / "killed"
        if most == 0:
            return
        assert fork(self._case(killed, OFTEN, kill=(2, 2))) == -9
        files = sorted(path.relative_to(killed) for path in killed.rglob("*") if path.is_file())
        newest = max(file for file in files if file.suffix == ".safetensors")
        # A way for each file; the newest checkpoint, which is what matters, in every way.
        cases = [
            (file, *WAYS[number % len(WAYS)])
            for number, file in enumerate(files)
            if file.name != LOCK and file.suffix != ".safetensors"
        ]
        cases += [(newest, *way) for way in WAYS]
        for file, how, damage in self._some(cases, most):
            folder = self._folder()
            shutil.copytree(killed, folder)
            damage(folder / file)
            self._go_on("damaged", f"{file} {how}", folder, [-9])

    def _go_on(self, kind: str, fault: str, folder: Path, codes: list[int]) -> None:
        """Start a training until it ends, and note what became of it."""
        while codes[-1] and len(codes) < STARTS and not (folder / "summary.json").exists():
            codes.append(fork(self._next(folder)))
        ended = (folder / "summary.json").exists()
        differing = differences(self.whole, folder) if ended else ["did not end"]
        outcome = Outcome(kind, fault, tuple(codes), tuple(differing))
        self.outcomes.append(outcome)
        became = "equal" if outcome.survived else f"DIFFERS: {', '.join(differing[:3])}"
        print(f"{KINDS[kind]} ({fault}): exit codes {codes}, {became}", flush=True)
        if outcome.survived:
            shutil.rmtree(folder)

    def _next(self, folder: Path, *more: str) -> dict[str, Any]:
        """Return the case that goes on in a folder."""
        if checkpoints.exists(folder):
            return {"arguments": [f"resume={folder}"], "log": f"{folder}.log"}
        return self._case(folder, *more)

    def _case(self, run_folder: Path, *arguments: str, **more: Any) -> dict[str, Any]:
        run = [*RUN, f"data={self.data}", f"output={run_folder}", *arguments]
        return {"arguments": run, "log": f"{run_folder}.log", **more}

    def _folder(self) -> Path:
        return self.place / f"run-{len(self.outcomes):03d}"

    def _some(self, found: Iterable[Any], most: int | None) -> list[Any]:
        found = list(found)
        return found if most is None else self.random.sample(found, min(most, len(found)))

"""Runs of `progressive.run` that are killed at will, each in a process forked from a fresh one.

    python process.py < cases.json

A case is `{"arguments": [...], "kill": [E, B], "point": "write", "without": PART, "log": FILE}`.
The process is killed in the checkpoint of epoch E after B batches: once it is written (`written`)
or while it is (`write`). `without` leaves a part of the state out of what is put back; `keep` keeps
all checkpoints.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


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


def fitness_by_epoch() -> None:
    """Let early epochs be the best, where a detector of seconds finds nothing at all."""
    from ultralytics.engine.trainer import BaseTrainer
    from ultralytics.models.yolo.detect import DetectionTrainer

    def validate(trainer: Any) -> Any:
        best = trainer.best_fitness
        metrics, _ = BaseTrainer.validate(trainer)
        fitness = 1 / (1 + trainer.epoch)
        trainer.best_fitness = fitness if best is None else max(best, fitness)
        return metrics, fitness

    DetectionTrainer.validate = validate


def run(case: dict[str, Any]) -> int:
    from progressive.config.command_line import compose_config
    from progressive.run import run as train
    from progressive.signals import Interruption

    Interruption().install()
    fitness_by_epoch()
    if case.get("kill"):
        kill_in(case["kill"], case.get("point", "written"))
    if case.get("keep"):
        from progressive.runs import checkpoints

        checkpoints.KEPT = 10**6
    if case.get("without"):
        leave_out(case["without"])
    with Path(case["log"]).open("w") as log, redirect_stdout(log), redirect_stderr(log):
        os.dup2(log.fileno(), 1)  # Ultralytics' log, and native code
        os.dup2(log.fileno(), 2)
        train(compose_config(case["arguments"]))
    return 0


def main() -> None:
    import progressive.hosts.ultralytics.callback  # noqa: F401 - slow; the forks share it

    torch.set_num_threads(1)  # no threads before the forks
    codes = []
    for case in json.load(sys.stdin):
        child = os.fork()
        if not child:
            code = 1
            try:
                code = run(case)
            except SystemExit as left:
                code = left.code if isinstance(left.code, int) else 1
            finally:
                sys.stdout.flush()
                os._exit(code)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print(json.dumps(codes))


if __name__ == "__main__":
    main()

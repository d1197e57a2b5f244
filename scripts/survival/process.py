"""Runs of `progressive.run` that are killed at will, each in a process forked from a fresh one.

    PYTHONPATH=scripts python -m survival.process < cases.json

A case is `{"arguments": [...], "log": FILE}` and what is to go wrong:

    "kill": [E, B], "point": POINT     killed in the checkpoint of epoch E after B batches: once it
                                       is written (`written`) or while it is (`write`)
    "folder": FOLDER, "at": [FILE, MOMENT], "passing": N, "fault": "die" or "fill_disk"
                                       at the N-th passing of a point, as `faults` names them
    "folder": FOLDER, "count": FILE    nothing; writes how often each point was passed
    "without": PART                    a part of the state is left out of what is put back
    "keep": true                       all checkpoints are kept
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from survival import faults

Case = Mapping[str, Any]

#: What a training imports sooner or later.
SLOW = (
    *("matplotlib.pyplot", "progressive.runs.html"),
    *("progressive.building", "progressive.hosts.ultralytics.callback"),
)


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


def scramble() -> None:
    """Bring generators of random numbers to chance, as in a process that is not forked."""
    random.seed()
    np.random.seed()
    torch.seed()


def prepare() -> None:
    """Import what is slow, for all forks at once, and start no threads before them."""
    # Loggers that Ultralytics would write to, if they are installed: none of a run's business.
    sys.modules.update(dict.fromkeys(("mlflow", "wandb", "comet_ml", "clearml", "dvclive")))
    for name in SLOW:
        import_module(name)

    torch.set_num_threads(1)


def warm(case: Case) -> None:
    """Train in this process, so that forks need not do what is slow only the first time."""
    from ultralytics.engine.trainer import BaseTrainer

    kept = os.dup(1), os.dup(2)
    read = BaseTrainer.read_results_csv
    BaseTrainer.read_results_csv = lambda _: {}  # with polars, which starts threads
    try:
        run(case)
    finally:
        BaseTrainer.read_results_csv = read
        for number, file in enumerate(kept, 1):
            os.dup2(file, number)
            os.close(file)
    if (threads := len(list(Path("/proc/self/task").iterdir()))) > 1:
        raise RuntimeError(f"{threads} threads: forks of this process could hang")


def run(case: Case) -> None:
    """Train in this process, with the fault of the case."""
    from progressive.config.command_line import compose_config
    from progressive.config.hydra_errors import fail
    from progressive.errors import InputError
    from progressive.run import run as train
    from progressive.signals import Interruption

    restore = Interruption().install()
    fitness_by_epoch()
    scramble()
    counts: Counter[faults.Point] = Counter()
    if case.get("kill"):
        faults.kill_in(case["kill"], case.get("point", "written"))
    if case.get("at"):
        fault = {"die": faults.die, "fill_disk": faults.fill_disk}[case["fault"]]
        faults.fail_at(Path(case["folder"]), tuple(case["at"]), case["passing"], fault)
    if case.get("count"):
        faults.count_points(Path(case["folder"]), counts)
    if case.get("keep"):
        from progressive.runs import checkpoints

        checkpoints.KEPT = 10**6
    if case.get("without"):
        faults.leave_out(case["without"])
    with Path(case["log"]).open("w") as log, redirect_stdout(log), redirect_stderr(log):
        os.dup2(log.fileno(), 1)  # Ultralytics' log, and native code
        os.dup2(log.fileno(), 2)
        try:
            train(compose_config(case["arguments"]))
        except InputError as error:
            fail(error)
        except Exception:
            traceback.print_exc()
            raise
        finally:
            restore()
    if case.get("count"):
        found = [[*point, number] for point, number in sorted(counts.items())]
        Path(case["count"]).write_text(json.dumps(found))


def fork(case: Case, stop: tuple[float, signal.Signals] | None = None) -> int:
    """Run a case in a process forked from this one; return its exit code, -9 if it was killed.

    Args:
        case: what is run.
        stop: seconds after which this process sends it a signal, and which.
    """
    child = os.fork()
    if not child:
        code = 1
        try:
            run(case)
            code = 0
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 1
        finally:
            sys.stdout.flush()
            os._exit(code)
    if stop is not None:
        seconds, number = stop
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.005)
        os.kill(child, number)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    """Run the cases of standard input, one after the other; print their exit codes."""
    prepare()
    print(json.dumps([fork(case) for case in json.load(sys.stdin)]))


if __name__ == "__main__":
    main()

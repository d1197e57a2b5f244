"""A training that is told to end: the batch is finished, the state is saved, the code is known."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

from progressive.runs import checkpoints
from progressive.runs.records import read_epochs

pytestmark = pytest.mark.slow

RUN = (
    *("device=cpu", "head=yolov8n", "backbone=efficientnetv2_b0", "backbone.width=0.25"),
    *("backbone.depth=0.25", "stages=2", "size.min=32", "size.max=64", "batch=2"),
    *("train.plots=false", "epochs=30"),
)


def start(*arguments, cwd):
    return subprocess.Popen(
        [sys.executable, "-m", "progressive.run", *arguments],
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_epoch(folder, epoch, process):
    deadline = time.monotonic() + 240
    while len(read_epochs(folder)) < epoch:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)


def test_every_signal_leaves_a_run_that_goes_on(tiny_data, tmp_path):
    folder = tmp_path / "runs" / "a"
    process = start(*RUN, f"data={tiny_data}", f"output={folder}", cwd=tmp_path)
    for epoch, number in ((1, signal.SIGTERM), (3, signal.SIGUSR1), (5, signal.SIGINT)):
        wait_for_epoch(folder, epoch, process)
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 128 + number
        assert f"Continue with: resume={folder}" in said
        assert "Traceback" not in said
        assert not (folder / ".lock").exists()
        newest, complaints = checkpoints.newest(folder)
        assert newest.position >= (epoch, 0)
        assert complaints == []
        process = start("resume=true", cwd=tmp_path)
    wait_for_epoch(folder, 7, process)
    busy = start(f"resume={folder}", cwd=tmp_path)
    _, said = busy.communicate(timeout=60)
    assert busy.returncode == 2
    assert f"is in use by process {process.pid} on" in said
    process.kill()
    process.communicate()


def test_a_finished_run_is_extended(tiny_data, tmp_path):
    folder = tmp_path / "run"
    short = [argument for argument in RUN if not argument.startswith("epochs=")]
    first = start(*short, "epochs=2", f"data={tiny_data}", f"output={folder}", cwd=tmp_path)
    assert first.communicate()[1].count("Traceback") == 0
    before = (folder / "results.csv").read_text()
    assert "prediction" in json.loads((folder / "summary.json").read_text())
    more = start(f"resume={folder}", "epochs=4", cwd=tmp_path)
    assert "Traceback" not in more.communicate()[1]
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["epochs"] == 4
    assert [(s["start_epoch"], s["stop_epoch"]) for s in summary["stages"]] == [
        (0, 1),
        (1, 2),
        (2, 4),
    ]
    assert "prediction" not in summary  # which was of two epochs
    assert (folder / "results.csv").read_text().startswith(before)

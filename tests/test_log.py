"""What real runs print and log: to a program and trackers, to a log file, to a terminal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SMALL = (
    *("device=cpu", "head=yolov8n", "backbone=efficientnetv2_b0"),
    *("backbone.width=0.25", "backbone.depth=0.25", "epochs=2", "stages=2"),
    *("size.min=32", "size.max=64", "batch=4", "train.plots=false", "train_faster=false"),
)

#: What trackers are told in the last epoch, by name.
TOLD = {"progressive/stage": 1, "progressive/image_size": 64, "progressive/mixup": 0.1}

SPEED = ("images_per_second", "share_waiting_for_data", "minutes_left", "predicted_minutes")


def command(data, *arguments):
    where = (f"data={data}", "output=run", "mixup.max=0.1")
    return [sys.executable, "-m", "progressive.run", *SMALL, *where, *arguments]


def environment(folder: Path) -> dict[str, str]:
    """Return that of a user: Ultralytics' loggers are off in tests."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    return {**kept, "WANDB_MODE": "offline", "WANDB_SILENT": "true", "COLUMNS": "80"}


@pytest.mark.slow
def test_a_program_and_trackers_read_the_same(tiny_data, tmp_path):
    # The extra `dev` has the first one.
    asked = ["tensorboard", *(name for name in ("mlflow", "wandb") if find_spec(name))]
    done = subprocess.run(
        command(tiny_data, "log=json", f"track=[{','.join(asked)}]"),
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds == ["plan", "stage", "epoch", "stage", "epoch", "result"]
    assert [stage["image_size"] for stage in events[0]["stages"]] == [32, 64]
    last = events[-2]
    assert (last["epoch"], last["stage"], last["image_size"]) == (1, 1, 64)
    assert events[-1]["weights"] == str(tmp_path / "run" / "weights" / "best.pt")
    header = (tmp_path / "run" / "results.csv").read_text().splitlines()[0]
    assert "progressive" not in header
    readers = {"tensorboard": _tensorboard, "mlflow": _mlflow}
    for name in asked:
        if name == "wandb":  # whose reader is not in Python
            (log,) = (tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb")
            assert all(f"progressive/{key}".encode() in log.read_bytes() for key in SPEED)
            continue
        found = readers[name](tmp_path)
        assert found["metrics/mAP50B" if name == "mlflow" else "metrics/mAP50(B)"] >= 0
        assert {key: found[key] for key in TOLD} == pytest.approx(TOLD), name
        assert found["progressive/images_per_second"] == pytest.approx(
            last["images_per_second"], rel=1e-4
        )
        assert {f"progressive/{key}" for key in SPEED} <= found.keys()


def _tensorboard(folder: Path) -> dict[str, float]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(folder / "run"))
    log.Reload()
    tags = log.Tags()["scalars"]
    # The best weights are evaluated once more, a step after the last epoch.
    return {tag: [e.value for e in log.Scalars(tag) if e.step <= 2][-1] for tag in tags}


def _mlflow(folder: Path) -> dict[str, float]:
    # In a process of its own: its store is where the run was started.
    code = (
        "import json, mlflow\n"
        "runs = mlflow.search_runs(search_all_experiments=True, output_format='list')\n"
        "print(json.dumps(runs[0].data.metrics))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_log_file_has_a_line_an_epoch(tiny_data, tmp_path):
    done = subprocess.run(
        command(tiny_data), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert not {"\r", "\033"} & set(done.stdout)
    start = done.stdout.index("Starting training")
    epochs = done.stdout[start : done.stdout.index("epochs completed")].splitlines()
    about = [line for line in epochs if re.search(r"epoch \d/2", line)]
    assert len(about) == 2
    assert re.match(r"Stage 1/2 at 32 px, epoch 1/2, loss box \S+ cls \S+ dfl \S+, ", about[0])
    assert about[0].endswith(" s left")
    assert not [line for line in epochs if "100%" in line or "Instances" in line]
    # Where a table is not every epoch's, its head stays.
    assert "Instances" in done.stdout.partition("Validating")[2]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
def test_a_terminal_of_80_columns(tiny_data, tmp_path):
    shown = in_terminal(command(tiny_data), tmp_path, {"NO_COLOR": ""})
    ours = [line for line in shown if re.search(r"epoch \d/2", line)]
    assert len(ours) == 2
    assert all(line.startswith("\033[") for line in ours)
    plain = [re.sub(r"\033\[[\d;]*m", "", line) for line in shown]
    told = [line for line in plain if line.startswith(("Stage", "|"))]
    assert max(map(len, told)) <= 80
    assert any("100%" in line for line in plain)  # Ultralytics' bars are still there
    quiet = in_terminal(command(tiny_data, "log=quiet", "output=b"), tmp_path, {"NO_COLOR": "1"})
    assert not [line for line in quiet if "100%" in line or "\033" in line]
    assert len([line for line in quiet if re.search(r"epoch \d/2", line)]) == 2
    assert any(line.startswith("mAP50 ") for line in quiet)


def in_terminal(arguments, folder, variables):
    """Run a command in a pseudo terminal and return its lines as they stand in the end."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    variables = {**environment(folder), "TERM": "xterm", **variables}
    running = subprocess.Popen(
        arguments, cwd=folder, env=variables, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    found = b""
    while True:
        try:
            found += (data := os.read(ours, 65536))
        except OSError:  # Linux says so at the end
            break
        if not data:
            break
    os.close(ours)
    assert running.wait() == 0, found.decode()
    lines = found.decode().replace("\r\n", "\n").split("\n")
    return [line.split("\r\033[K")[-1] for line in lines]


def test_a_sweep_writes_json_alone(tmp_path):
    arguments = ("-m", "seed=0,1", "log=json", "dry_run=true", "device=cpu")
    command = [sys.executable, "-m", "progressive.run", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    events = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert events == ["plan", "plan"]
    assert "Launching 2 jobs" in done.stderr

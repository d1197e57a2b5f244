"""The main job, in processes of their own: train, interrupt, resume, stay offline."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml
from survival.data import write_boxes

#: A detector and sizes that train in seconds.
SMALL = (
    *("device=cpu", "head=yolov8n", "backbone=efficientnetv2_b0"),
    *("backbone.width=0.25", "backbone.depth=0.25"),
    *("stages=2", "size.min=32", "size.max=64", "batch=4", "train.plots=false"),
)


def command(*arguments):
    return [sys.executable, "-m", "progressive.run", *SMALL, *arguments]


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_run_keeps_everything_it_promises(tiny_data, tmp_path):
    folder = tmp_path / "run"
    data, output = f"data={tiny_data}", f"output={folder}"
    overrides = ("epochs=4", "durations=null", data, output, "randaugment.max=9")
    done = subprocess.run(
        command(*overrides), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "Stage 2/2: epochs 3-4 at 64 px, RandAugment 9.0" in done.stdout
    assert str(folder / "weights" / "best.pt") in done.stdout
    for name in ("config.yaml", "plan.json", "stages.csv", "epochs.csv", "results.csv"):
        assert (folder / name).is_file(), name
    assert yaml.safe_load((folder / "config.yaml").read_text())["randaugment"]["max"] == 9
    summary = json.loads((folder / "summary.json").read_text())
    assert {"mAP50", "mAP50_95"} <= set(summary["metrics"])
    assert 0 < summary["seconds"]["train"] < summary["seconds"]["total"]
    assert [(s["image_size"], s["start_epoch"], s["stop_epoch"]) for s in summary["stages"]] == [
        (32, 0, 2),
        (64, 2, 4),
    ]
    # A second run into the same folder is refused and leaves it as it was.
    before = (folder / "summary.json").stat().st_mtime_ns
    again = subprocess.run(command(*overrides), cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 2
    assert (folder / "summary.json").stat().st_mtime_ns == before
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


@pytest.mark.slow
def test_hydra_gets_the_objective_and_says_where(tiny_data, tmp_path):
    (tmp_path / "tell.py").write_text(
        "from hydra.experimental.callback import Callback\n"
        "class Tell(Callback):\n"
        "    def on_job_end(self, config, job_return, **_):\n"
        "        print('objective:', job_return.return_value)\n"
    )
    paths = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        command(
            *("epochs=2", f"data={tiny_data}", "hydra.run.dir=my/run"),
            "+hydra.callbacks.tell._target_=tell.Tell",
        ),
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": paths,
            "HYDRA_INSTANTIATE_ALLOWLIST_OVERRIDE": "tell.Tell",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    summary = json.loads((tmp_path / "my" / "run" / "summary.json").read_text())
    assert f"objective: {summary['metrics']['mAP50_95']}\n" in done.stdout
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("arguments", [("-m", "seed=0,1"), ("probe=true",), ("budget.minutes=1",)])
def test_bad_labels_are_found_before_anything_else(tmp_path, arguments):
    data = write_boxes(tmp_path / "data")
    for label in data.parent.glob("labels/train/*.txt"):
        label.write_text("7 .5 .5 .5 .5\n")
    done = subprocess.run(
        command(f"data={data}", *arguments), cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "12 of 12 images cannot be used" in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.slow
def test_the_default_run_learns(tmp_path):
    arguments = [sys.executable, "-m", "progressive.run", "device=cpu", "output=run"]
    subprocess.run(arguments, cwd=tmp_path, capture_output=True, check=True)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert [stage["image_size"] for stage in summary["stages"]] == [96, 128, 160, 192]
    assert summary["metrics"]["mAP50"] >= 0.75


@pytest.mark.slow
def test_a_killed_run_resumes(tiny_data, tmp_path):
    folder = tmp_path / "run"
    arguments = command("epochs=24", f"data={tiny_data}", f"output={folder}")
    with subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + 120
        while not (folder / "epochs.csv").exists() or len(rows(folder / "epochs.csv")) < 3:
            assert time.monotonic() < deadline
            assert running.poll() is None
            time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 130
    done = len(rows(folder / "epochs.csv"))
    resume = [sys.executable, "-m", "progressive.run", f"resume={folder}"]
    resumed = subprocess.run(
        resume, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=240
    )
    assert f"Resuming from epoch-{done:05d}-batch-" in resumed.stdout
    finished = rows(folder / "epochs.csv")
    assert [int(row["epoch"]) for row in finished] == list(range(24))
    assert [int(row["image_size"]) for row in finished] == [32] * 16 + [64] * 8
    refused = subprocess.run(resume, cwd=tmp_path, capture_output=True, text=True)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "is finished" in refused.stderr


@pytest.mark.slow
def test_nothing_is_sent_or_fetched(tiny_data, tmp_path):
    # Trap 15. Any attempt to look up or reach another machine is noted and fails.
    (tmp_path / "sitecustomize.py").write_text(
        "import socket, traceback\n"
        "def refuse(*a, **k):\n"
        "    open(__file__ + '.log', 'a').write(''.join(traceback.format_stack()) + '\\n\\n')\n"
        "    raise OSError('no network in this test')\n"
        "socket.getaddrinfo = socket.create_connection = refuse\n"
        "socket.socket.connect = refuse\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("YOLO")}
    environment.pop("NO_ALBUMENTATIONS_UPDATE", None)
    subprocess.run(
        command("epochs=2", f"data={tiny_data}", f"output={tmp_path / 'run'}"),
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        check=True,
    )
    log = tmp_path / "sitecustomize.py.log"
    assert not log.exists(), log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "folder", "jobs"),
    [
        ((), "runs/*", ["0", "1"]),
        (("hydra.sweep.dir=mine", "hydra.sweep.subdir=s${seed}"), "mine", ["s0", "s1"]),
    ],
)
def test_a_sweep_gives_each_job_its_own_folder(where, folder, jobs, tiny_data, tmp_path):
    short = ("epochs=2", "train.save=false", f"data={tiny_data}", "train.val=false")
    done = subprocess.run(
        command("-m", "seed=0,1", *short, *where),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    summaries = sorted(tmp_path.glob(f"{folder}/*/summary.json"))
    assert [path.parent.name for path in summaries] == jobs, done.stderr
    (page,) = tmp_path.glob(f"{folder}/report.html")
    assert f"Report of the sweep: {page}" in done.stdout


@pytest.mark.slow
def test_a_dry_run_with_a_probe_predicts_and_leaves_no_trace(tiny_data, tmp_path):
    done = subprocess.run(
        command("epochs=4", f"data={tiny_data}", "dry_run=true", "probe=true", "price_per_hour=2"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    for said in ("predicted training", "Predicted: ", "in total", "At 2 an hour: 0.0", "The probe"):
        assert said in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_budget_is_kept_and_a_resumed_run_knows_the_corrected_schedule(tiny_data, tmp_path):
    folder = tmp_path / "run"
    arguments = command(
        *("stages=3", "size.max=96", f"data={tiny_data}", f"output={folder}"),
        *("budget.minutes=1.5", "train.patience=0"),  # a fast machine trains hundreds of epochs
    )
    with subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + 240
        while (
            not (folder / "epochs.csv").exists() or rows(folder / "epochs.csv")[-1]["stage"] != "1"
        ):
            assert time.monotonic() < deadline
            assert running.poll() is None
            time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 130
    resume = [sys.executable, "-m", "progressive.run", f"resume={folder}"]
    subprocess.run(resume, cwd=tmp_path, capture_output=True, check=True, timeout=300)
    summary = json.loads((folder / "summary.json").read_text())
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    assert summary["epochs"] == settings["epochs"] == sum(settings["durations"])
    lengths = [stage["stop_epoch"] - stage["start_epoch"] for stage in summary["stages"]]
    assert lengths == settings["durations"]
    assert summary["prediction"]["source"] == "probe"
    assert 30 < summary["seconds"]["total"] < 180  # of 90, interrupted once, beside other tests

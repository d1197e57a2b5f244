"""A run that is killed and resumed ends as if nothing had happened, bit by bit, in fresh processes.

Every part of the state is left out once on purpose: then the end must be another one.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from progressive.hosts.ultralytics.checkpoints.packing import unpack
from progressive.hosts.ultralytics.checkpoints.parts import PARTS
from progressive.runs import checkpoints
from progressive.safe_loading.checkpoints import read_checkpoint

pytestmark = pytest.mark.slow

PROCESS = Path(__file__).with_name("process.py")

#: Everything that a state may hold: a loss whose weights move, mosaic and RandAugment, dropout,
#: gradients that wait for the next batch, merged batches, epochs without validation.
RUN = (
    *("device=cpu", "head=yolov10n", "backbone=efficientnetv2_b0"),
    *("backbone.width=0.25", "backbone.depth=0.25", "train.plots=false"),
    *("stages=3", "size.min=32", "size.max=96", "epochs=6", "batch=2", "train.nbs=8"),
    *(
        "train.warmup_epochs=0.5",
        "train.mosaic=1.0",
        "train.close_mosaic=0",
        "randaugment.min=5",
        "randaugment.max=9",
    ),
    *("mixup.max=0.3", "dropout.min=0.1", "dropout.max=0.1"),
    *("train.amp=false", "train.channels_last=false", "train.optimizer=AdamW"),
)

#: Where a checkpoint follows every batch.
OFTEN = "save_minutes=1e-9"

#: After the second batch of the third epoch, which is the first of a stage.
IN_EPOCH = (2, 2)


def go(*cases):
    """Run cases one after the other; return their exit codes."""
    done = subprocess.run(
        [sys.executable, PROCESS], input=json.dumps(cases), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def case(folder, *arguments, **more):
    return {"arguments": list(arguments), "log": f"{folder}.log", **more}


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_data):
    """A folder with a run that was not interrupted, and one that was killed within an epoch."""
    place = tmp_path_factory.mktemp("exact")
    run = (*RUN, f"data={tiny_data}")
    whole, killed = place / "whole", place / "killed"
    codes = go(
        case(whole, *run, f"output={whole}"),
        case(killed, *run, f"output={killed}", OFTEN, kill=IN_EPOCH),
    )
    assert codes == [0, -9]
    return place


def resumed(folder, copy):
    """Copy the folder of a killed run."""
    shutil.copytree(folder, copy)
    return copy


def flat(value, name=""):
    """Return a nested state as a dictionary with one level."""
    if isinstance(value, dict):
        return {
            k: v for key, inner in value.items() for k, v in flat(inner, f"{name}.{key}").items()
        }
    if isinstance(value, (list, tuple)):
        return {
            k: v for i, inner in enumerate(value) for k, v in flat(inner, f"{name}.{i}").items()
        }
    return {name: value}


def without_times(path):
    with path.open() as file:
        rows = list(csv.DictReader(file))
    times = ("time", "seconds", "images_per_second")
    return [{k: v for k, v in row.items() if not k.strip().endswith(times)} for row in rows]


def end_of(folder):
    """Return all that a run has come to, times aside."""
    state = unpack(checkpoints.read(max((folder / "checkpoints").glob("*.safetensors"))))
    for name in ("records", "config"):
        del state[name]
    summary = json.loads((folder / "summary.json").read_text())
    for name in ("seconds", "prediction"):
        del summary[name]
    summary["stages"] = without_times(folder / "stages.csv")
    weights = {
        name: dict(read_checkpoint(folder / "weights" / f"{name}.pt").weights)
        for name in ("best", "last")
    }
    tables = {name: without_times(folder / name) for name in ("results.csv", "epochs.csv")}
    return flat({"state": state, "summary": summary, "weights": weights, "tables": tables})


def differences(folder, other):
    """Return what two runs differ in."""
    one, two = end_of(folder), end_of(other)
    return [name for name in one.keys() | two.keys() if not same(one.get(name), two.get(name))]


def same(one, two):
    if isinstance(one, torch.Tensor) and isinstance(two, torch.Tensor):
        return one.dtype == two.dtype and torch.equal(one, two)
    return type(one) is type(two) and (one == two or one != one)


def test_killed_within_an_epoch(place):
    folder = resumed(place / "killed", place / "once")
    assert go(case(folder, f"resume={folder}")) == [0]
    assert differences(place / "whole", folder) == []


def test_killed_three_times_and_while_it_writes(place):
    folder = resumed(place / "killed", place / "often")
    resume = f"resume={folder}"
    codes = go(
        case(folder, resume, kill=(3, 1), point="write"),  # goes on where an epoch starts
        case(folder, resume, kill=(4, 2)),
        case(folder, resume, kill=(5, 0), point="write"),  # goes on before the last batch of one
        case(folder, resume),
    )
    assert codes == [-9, -9, -9, 0]
    assert differences(place / "whole", folder) == []


def test_killed_before_the_best_weights_are_validated(place):
    folder = resumed(place / "killed", place / "end")
    resume = f"resume={folder}"
    assert go(case(folder, resume, kill=(6, 0))) == [-9]
    assert not (folder / "summary.json").exists()
    newest, _ = checkpoints.newest(folder)
    assert newest.state["done"]
    (folder / "weights" / "best.pt").write_bytes(b"")  # as a kill while it is rewritten leaves it
    (folder / "results.csv").write_text("")
    (folder / "epochs.csv").unlink()
    (folder / "config.yaml").write_text("")
    assert go(case(folder, resume)) == [0]
    assert differences(place / "whole", folder) == []


def test_a_damaged_checkpoint_is_passed_over(place):
    folder = resumed(place / "killed", place / "damaged")
    newest = max((folder / "checkpoints").glob("*.safetensors"))
    content = newest.read_bytes()
    middle = len(content) // 2
    newest.write_bytes(content[:middle] + b"\0" * 4096 + content[middle + 4096 :])
    assert go(case(folder, f"resume={folder}")) == [0]
    assert "its checksum does not fit" in Path(f"{folder}.log").read_text()
    assert differences(place / "whole", folder) == []
    assert not newest.exists()


#: On a CPU there is no gradient scaler, so its state is empty.
NEEDED = sorted(set(PARTS) - {"scaler"})


def test_every_part_of_the_state_is_needed(place):
    folders = {part: resumed(place / "killed", place / f"no-{part}") for part in NEEDED}
    seldom = "save_minutes=10"  # to save the time that writing takes
    codes = go(*(case(f, f"resume={f}", seldom, without=part) for part, f in folders.items()))
    # Without some, a training cannot go on at all.
    ended = [part for part, code in zip(NEEDED, codes, strict=True) if code == 0]
    assert set(NEEDED) - set(ended) <= {"metrics", "losses"}
    assert [part for part in ended if not differences(place / "whole", folders[part])] == []

"""A run that is killed and resumed ends as if nothing had happened, bit by bit, in fresh processes.

Every part of the state is left out once on purpose: then the end must be another one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from survival.ending import OFTEN, RUN, differences

from progressive.hosts.ultralytics.checkpoints.parts import PARTS
from progressive.runs import checkpoints

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

#: After the second batch of the third epoch, which is the first of a stage.
IN_EPOCH = (2, 2)


def go(*cases):
    """Run cases one after the other; return their exit codes."""
    done = subprocess.run(
        [sys.executable, "-m", "survival.process"],
        input=json.dumps(cases),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "scripts")))},
        capture_output=True,
        text=True,
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

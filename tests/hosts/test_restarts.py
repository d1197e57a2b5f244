"""torchrun starts a training again of which a process was killed; it ends as it should."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.slow

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")


#: On some machines gloo cannot connect again after a restart, or waits for ever.
TRIES, PATIENCE = 3, 60


def run(folder, *more):
    for number in range(TRIES):
        found = attempt(folder / str(number), *more)
        if found is not None:
            return found
    pytest.skip("gloo does not connect again after a restart on this machine")


def attempt(folder, *more):
    """Train; None if the processes could not connect."""
    folder.mkdir(parents=True)
    script = Path(__file__).with_name("torchrun_restarts.py")
    command = [*TORCHRUN, "--max-restarts=3", str(script), str(folder), *more]
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # to end its processes with it
    ) as process:
        try:
            _, said = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.terminate()  # which ends the processes it has started
            try:
                process.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
            return None
    if process.returncode and "connectFullMesh" in said:
        return None
    assert process.returncode == 0, said
    steps = [json.loads(line) for line in (folder / "steps-0.jsonl").read_text().splitlines()]
    return steps, torch.load(folder / "weights.pt", weights_only=True)


def test_a_worker_that_is_killed(tmp_path):
    whole, weights = run(tmp_path / "whole")
    killed, again = run(tmp_path / "killed", "killed")
    # 16 images on 2 processes in batches of 4: two steps in each of four epochs.
    expected = [[epoch, *how] for epoch, how in enumerate([(32, 0.0)] * 2 + [(64, 0.2)] * 2)]
    assert [step[1:] for step in whole] == [step for step in expected for _ in range(2)]
    # The first start trained half; where a start fails to connect, the next one trains the rest.
    starts = {step[0] for step in killed}
    last = max(starts)
    assert starts == {0, last}
    assert last > 0
    second = [step[1:] for step in killed if step[0] == last]
    assert second == [step for step in expected[2:] for _ in range(2)]  # from its first stage at 64
    assert all(torch.equal(weights[name], again[name]) for name in weights)

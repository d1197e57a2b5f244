"""torchrun starts a training again of which a process was killed; it ends as it should."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.slow

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")


#: By default PyTorch keeps one store for all starts, in which gloo finds the addresses of processes
#: that are gone.
ENVIRONMENT = {**os.environ, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}


def run(folder, *more):
    folder.mkdir()
    script = Path(__file__).with_name("torchrun_restarts.py")
    command = [*TORCHRUN, "--max-restarts=1", str(script), str(folder), *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    steps = [json.loads(line) for line in (folder / "steps-0.jsonl").read_text().splitlines()]
    return steps, torch.load(folder / "weights.pt", weights_only=True)


def test_a_worker_that_is_killed(tmp_path):
    whole, weights = run(tmp_path / "whole")
    killed, again = run(tmp_path / "killed", "killed")
    # 16 images on 2 processes in batches of 4: two steps in each of four epochs.
    expected = [[epoch, *how] for epoch, how in enumerate([(32, 0.0)] * 2 + [(64, 0.2)] * 2)]
    assert [step[1:] for step in whole] == [step for step in expected for _ in range(2)]
    second = [step[1:] for step in killed if step[0] == 1]
    assert second == [step for step in expected[2:] for _ in range(2)]  # from its first stage at 64
    assert {step[0] for step in killed} == {0, 1}
    assert all(torch.equal(weights[name], again[name]) for name in weights)

"""Killed at a boundary and inside a stage, and resumed with the framework's own checkpoint."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.slow

#: Steps after which a training is killed: where stages meet, where epochs of one stage meet, and
#: within an epoch. There are 12 of them, 3 in an epoch, 6 in a stage.
WHERE_STAGES_MEET, WHERE_EPOCHS_MEET, WITHIN = 6, 9, 7

#: What within an epoch starts with other images, as its loader cannot go on in the middle.
BEGINS_ANEW = {"lightning": WITHIN}


def steps(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("host", ["lightning", "pytorch", "transformers"])
def test_a_killed_training_goes_on_as_if_nothing_had_happened(host, tmp_path):
    script = Path(__file__).with_name("killed.py")
    killed = (WHERE_STAGES_MEET, WHERE_EPOCHS_MEET, WITHIN)
    done = subprocess.run(
        [sys.executable, script, host, tmp_path, *map(str, killed)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    whole = steps(tmp_path / "whole.jsonl")
    sizes_and_rates = [(size, rates) for _, size, rates, _ in whole]
    assert sizes_and_rates == [(32, [0.125])] * 6 + [(64, [0.5])] * 6
    assert [round(marks[0] % 1, 2) for *_, marks in whole] == [0.0] * 6 + [0.09] * 6
    weights = torch.load(tmp_path / "whole.pt", weights_only=True)
    for step in killed:
        again = steps(tmp_path / f"{step}.jsonl")
        assert [row[:3] for row in again] == [row[:3] for row in whole], step
        if BEGINS_ANEW.get(host) == step:
            assert again != whole
            continue
        assert again == whole, step
        found = torch.load(tmp_path / f"{step}.pt", weights_only=True)
        assert all(torch.equal(weights[name], found[name]) for name in weights), step

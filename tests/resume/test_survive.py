"""The trial of `scripts/survive`, a fault of each kind; the whole of it takes an hour."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def test_two_kills_a_term_a_full_disk_and_a_damaged_file(tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, ROOT / "scripts" / "survive", "--keep", tmp_path),
            *("--kills", "2", "--terms", "1", "--full", "1", "--damaged", "1"),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split("|")[2:4] for line in done.stdout.splitlines() if line.startswith("| ")]
    counts = [(int(trainings), int(equal)) for trainings, equal in rows[1:]]
    assert [equal for _, equal in counts] == [trainings for trainings, _ in counts]
    assert sum(trainings for trainings, _ in counts) == 5

"""A cache folder that cannot be written: one line where it is needed, nothing where it is not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

RUN = (
    *("device=cpu", "backbone=efficientnetv2_b0", "backbone.width=0.25", "backbone.depth=0.25"),
    *(
        "stages=1",
        "size.min=32",
        "size.max=32",
        "epochs=1",
        "batch=4",
        "train.plots=false",
        "output=run",
    ),
)


def run(folder, *arguments):
    (folder / "cache").touch()
    return subprocess.run(
        [sys.executable, "-m", "progressive.run", *RUN, *arguments],
        cwd=folder,
        env={**os.environ, "PROGRESSIVE_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
    )


def test_where_it_is_needed(tmp_path):
    done = run(tmp_path, "data=digits")
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"progressive: cannot write the data set cache {tmp_path}/cache:")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_where_it_is_not(tmp_path, tiny_data):
    done = run(tmp_path, f"data={tiny_data}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "summary.json").is_file()

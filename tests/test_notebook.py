"""The notebook in `examples/` runs from top to bottom."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "examples" / "progressive.ipynb"

#: Runs a notebook in this interpreter, whatever kernels are installed, and writes it with outputs.
RUN = """
import os, sys
import nbformat
from jupyter_client import KernelManager
from nbclient import NotebookClient

source, target = sys.argv[1:]
book, kernel = nbformat.read(source, as_version=4), KernelManager()
kernel.kernel_spec.argv[0] = sys.executable
NotebookClient(book, km=kernel, timeout=600).execute(env=dict(os.environ))
nbformat.write(book, target)
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not all(map(find_spec, ("nbclient", "nbformat", "ipykernel"))),
    reason="needs nbclient and ipykernel, which the extra dev has",
)
def test_the_notebook_runs_from_top_to_bottom(tmp_path):
    assert not any(cell.get("outputs") for cell in read(NOTEBOOK)), "keep it without outputs"
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(NOTEBOOK), str(tmp_path / "done.ipynb")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    cells = read(tmp_path / "done.ipynb")
    said = ["".join("".join(o.get("text", "")) for o in c.get("outputs", [])) for c in cells]
    assert "|     2/2 |      3-4 |     96 |" in said[2]
    assert said[6].count("epoch 4/4") == 1
    assert "%" not in said[6]  # no bars
    shown = "".join(cells[-1]["outputs"][-1]["data"]["text/html"])
    (report,) = tmp_path.glob("*/digits/report.html")
    assert "data:text/html;base64," in shown
    assert len(shown) > report.stat().st_size


def read(path: Path) -> list[dict]:
    return json.loads(path.read_text("utf-8"))["cells"]

"""The built wheel, installed into a clean environment and run from another folder."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_wheel_works_on_its_own(tmp_path):
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    wheel = next(tmp_path.glob("progressive_learning-*.whl"))
    assert "progressive/runs/templates/run.html" in ZipFile(wheel).namelist()
    clean = tmp_path / "clean"
    venv.create(clean, with_pip=True)
    python = clean / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    # Dependencies come from this environment. A plain path entry does not bring its editable
    # install of the project along, so what runs is the wheel.
    site = next(clean.glob("lib/python*/site-packages"))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    where = [str(python), "-c", "import progressive; print(progressive.__file__)"]
    found = subprocess.run(where, cwd=elsewhere, check=True, capture_output=True, text=True)
    assert Path(found.stdout.strip()).is_relative_to(site)
    for command in ([str(python), "-m", "progressive.run"], [str(clean / "bin" / "progressive")]):
        overrides = ["schedule=efficientnetv2_s", "device=cpu", "dry_run=true"]
        done = subprocess.run([*command, *overrides], cwd=elsewhere, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "288" in done.stdout
    assert list(elsewhere.iterdir()) == []

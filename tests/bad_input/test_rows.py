"""Every row of bad input ends with code 2 and one line; nothing is written, torch is not loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # all rows are tried at once, which takes a minute

TABLE = Path(__file__).with_name("rows.py")
_spec = spec_from_file_location("rows", TABLE)
assert _spec is not None
rows = module_from_spec(_spec)
assert _spec.loader is not None
_spec.loader.exec_module(rows)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    done = subprocess.run(
        [sys.executable, str(TABLE)],
        cwd=tmp_path_factory.mktemp("rows"),
        capture_output=True,
        text=True,
        check=True,
        timeout=900,
    )
    return json.loads(done.stdout)


def test_there_are_many():
    assert len(rows.ROWS) >= 150
    assert len({(arguments, text) for arguments, _, text in rows.ROWS}) == len(rows.ROWS)


@pytest.mark.parametrize(
    "index", range(len(rows.ROWS)), ids=lambda index: rows.ROWS[index][0].replace(" ", "_")[:60]
)
def test_a_row(index, outcomes):
    _, named, _ = rows.ROWS[index]
    found = outcomes[index]
    assert found["code"] == 2, found
    assert found["said"].startswith("progressive: ")
    assert found["said"].count("\n") == 1
    assert named in found["said"]
    assert "Traceback" not in found["printed"]
    assert found["written"] == []
    assert found["heavy"] == []

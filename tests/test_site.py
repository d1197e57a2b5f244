"""The documentation builds strictly, names every key, and fetches nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from progressive.config.complaints import keys
from progressive.config.model import GROUPS, Config
from progressive.schedule import KNOBS

ROOT = Path(__file__).parents[1]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(map(find_spec, ("mkdocs", "material", "mkdocstrings"))),
        reason="needs the extra docs",
    ),
]


def build(configuration: Path, target: Path) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    # Not --quiet, which silences the warnings before strictness counts them.
    arguments = ["build", "--strict", "-f", str(configuration), "-d", str(target)]
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )


def test_the_site(tmp_path):
    done = build(ROOT / "mkdocs.yml", tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "command-line" / "index.html").read_text("utf-8")
    known = [*keys(Config), *GROUPS, *(knob.key for knob in KNOBS)]
    assert not [name for name in known if f"<code>{name}</code>" not in page]
    width = page[page.index("<code>backbone.width</code>") :]
    assert "<code>1.0</code>" in width[: width.index("</tr>")]
    reference = (tmp_path / "api" / "index.html").read_text("utf-8")
    for name in ("ProgressiveSchedule", "ProgressiveCallback", "build_detector", "RandAugment"):
        assert f"{name}</span>" in reference
    assert "lr_by_compute" in reference  # arguments, from the docstring
    for html in tmp_path.rglob("*.html"):
        text = html.read_text("utf-8")
        assert not re.findall(r"<(?:script|img)[^>]+src=\"?https?:", text), html
        assert not re.findall(r"<link[^>]+stylesheet[^>]+https?:", text), html

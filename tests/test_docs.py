"""The pages of docs/hosts do what they say.

A page shows one file of examples/ word for word as a `python` block, and in a `bash` block a
command of a few seconds that starts with `python examples/`. The command is run as it stands.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs" / "hosts").glob("*.md"))


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def command(page):
    lines = [line for block in blocks(page, "bash") for line in block.splitlines()]
    (found,) = [line for line in lines if line.startswith("python examples/")]
    _, example, *arguments = shlex.split(found)
    return ROOT / example, arguments


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_shows_its_example(page):
    example, _ = command(page)
    assert example.read_text() in blocks(page, "python")


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_example_runs(page, tmp_path):
    example, arguments = command(page)
    done = subprocess.run(
        [sys.executable, str(example), *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr

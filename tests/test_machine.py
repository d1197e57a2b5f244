"""How much memory is free, under a limit and without one."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from matplotlib import font_manager

from progressive import machine
from progressive.machine import available_memory, stay_offline


def group(folder, limit):
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text("5000\n")
    (folder / "memory.stat").write_text("anon 1000\ninactive_file 3000\n")
    return folder


def test_limit_of_the_control_group(tmp_path):
    # Cached files count as used but are given up when memory is short.
    assert available_memory(group(tmp_path, 9000)) == 7000
    assert available_memory(group(tmp_path, 1000)) == 0


def test_without_a_limit(tmp_path):
    assert available_memory(tmp_path / "nowhere") > 2**20
    assert 2**20 < available_memory(group(tmp_path, "max")) <= psutil.virtual_memory().total


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        ({"opencv-python": "4.11.0.86", "opencv-python-headless": "4.11.0.86"}, None),
        ({"opencv-python": "4.11.0.86"}, None),
        (
            {"opencv-python": "4.11.0.86", "opencv-python-headless": "5.0.0.93"},
            "opencv-python==5.0.0.93 opencv-python-headless==5.0.0.93",
        ),
    ],
)
def test_two_versions_of_opencv_in_one_folder_are_named(monkeypatch, versions, said):
    def version(name):
        if name not in versions:
            raise machine.PackageNotFoundError
        return versions[name]

    monkeypatch.setattr(machine, "version", version)
    found = machine.mixed_opencv()
    assert found is None if said is None else found.endswith(said)


@pytest.mark.parametrize("kind", ["a file", "a link that loops"])
def test_a_cache_that_cannot_be_written_costs_a_run_nothing(tmp_path, kind, monkeypatch):
    cache = tmp_path / "cache"
    if kind == "a file":
        cache.touch()
    else:
        cache.symlink_to("cache")
    others = [f for f in font_manager.fontManager.ttflist if "Arial" not in f.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", list(others))
    stay_offline(cache / "fonts")
    found = {Path(f.fname).name for f in font_manager.fontManager.ttflist if f not in others}
    assert found == {"Arial.ttf", "Arial.Unicode.ttf"}

"""How much memory is free, under a limit and without one."""

from __future__ import annotations

import psutil
import pytest

from progressive import machine
from progressive.machine import available_memory


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

"""A data set is built once, and completely or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from progressive.data.embedded.cache import build_once, cache_root
from progressive.data.embedded.digits import digits


def build(folder: Path) -> None:
    (folder / "file").write_text("ours")


def complete(folder: Path) -> bool:
    return (folder / "file").is_file()


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_cache_root_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("PROGRESSIVE_CACHE", str(tmp_path / "own"))
    assert cache_root() == tmp_path / "own"
    monkeypatch.delenv("PROGRESSIVE_CACHE")
    assert cache_root() == tmp_path / "xdg" / "progressive"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_root() == tmp_path / "home" / ".cache" / "progressive"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_root() == tmp_path / "home" / ".cache" / "progressive"


def test_builds_once(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "set"
    build_once(folder, build, complete)

    def again(_: Path) -> None:
        raise AssertionError("a complete folder was built again")

    assert build_once(folder, again, complete) == folder
    assert names(folder.parent) == ["set"]


def test_a_rival_that_finishes_first_wins(tmp_path: Path) -> None:
    folder = tmp_path / "set"

    def overtaken(made: Path) -> None:
        build_once(folder, lambda other: (other / "file").write_text("theirs") and None, complete)
        build(made)

    build_once(folder, overtaken, complete)
    assert (folder / "file").read_text() == "theirs"
    assert names(tmp_path) == ["set"]


def test_an_exception_half_way_leaves_nothing(tmp_path: Path) -> None:
    def fail(made: Path) -> None:
        (made / "half").write_text("x")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        build_once(tmp_path / "set", fail, complete)
    assert names(tmp_path) == []


def test_an_incomplete_folder_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "half").write_text("x")
    build_once(folder, build, complete)
    assert names(folder) == ["file"]
    assert names(tmp_path) == ["set"]


def test_the_folder_has_ordinary_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    folder = build_once(tmp_path / "set", build, complete)
    assert folder.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_an_unwritable_cache_is_one_clear_line(tmp_path: Path) -> None:
    # A file in place of the folder. Unlike permissions, this fails for root too.
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    with pytest.raises(OSError, match="PROGRESSIVE_CACHE") as caught:
        digits(blocked)
    assert str(blocked) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


GENERATE = """
import os, sys
from pathlib import Path
from progressive.data.embedded import digits, scenes
compose, made = scenes.compose, []
def compose_some(*args):
    made.append(args)
    if len(made) > int(sys.argv[2]):
        os._exit(9)
    return compose(*args)
scenes.compose = compose_some
print(digits.digits(Path(sys.argv[1]), digits.DigitsSpec(train_scenes=6, val_scenes=3)))
"""


def generate(root: Path, crash_after: int = 1000) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", GENERATE, str(root), str(crash_after)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_processes_at_once_make_one_data_set(tmp_path: Path) -> None:
    both = [generate(tmp_path), generate(tmp_path)]
    printed = {process.communicate(timeout=60)[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    (yaml,) = {Path(line.strip()) for line in printed}
    assert names(tmp_path) == [yaml.parent.name]
    assert len(list((yaml.parent / "images").rglob("*.jpg"))) == 9


@pytest.mark.slow
def test_a_killed_process_leaves_no_folder_that_counts(tmp_path: Path) -> None:
    killed = generate(tmp_path, crash_after=4)
    killed.communicate(timeout=60)
    assert killed.returncode == 9
    (leftover,) = tmp_path.iterdir()
    assert leftover.name.startswith(".digits-")
    after = generate(tmp_path)
    yaml = Path(after.communicate(timeout=60)[0].strip())
    assert yaml.is_file()
    assert yaml.parent.parent == tmp_path

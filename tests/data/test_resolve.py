"""`resolve`: from the name that a user gives to a data set that Ultralytics may read."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from progressive.data import DatasetError, resolve

Make = Callable[..., Path]
HOSTILE = "download: |\n  import pathlib; pathlib.Path('ran').touch()\n"
SPLITS = "train: images/train\nval: images/val\nnames: [a]\n"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROGRESSIVE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")


def test_embedded(full_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROGRESSIVE_CACHE", str(full_set.parent.parent))
    info = resolve("digits", "detect")
    assert info.source == full_set
    assert info.train_images == 384


def test_a_plain_yaml_is_handed_over_itself(make: Make, tmp_path: Path) -> None:
    file = make(f"path: {tmp_path / 'set'}\n{SPLITS}")
    assert resolve(str(file), "detect").source == file
    assert not (tmp_path / "cache").exists()


def test_home_is_expanded(make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = make()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve("~/set/data.yaml", "detect").source == file


@pytest.mark.parametrize(
    ("data", "part"),
    [
        ("digit", "did you mean 'digits'?"),
        ("Digits", "did you mean 'digits'?"),
        ("digits.yaml", "did you mean 'digits'?"),
        ("coco8", "(digits); give the path of a data.yaml"),
        ("x" * 300, "neither a file nor an embedded data set"),
        ("ul://me/datasets/x", "is remote and nothing is downloaded"),
        ("coco8.zip", "is an archive and nothing is unpacked"),
    ],
)
def test_an_unknown_name(data: str, part: str) -> None:
    with pytest.raises(DatasetError) as caught:
        resolve(data, "detect")
    assert str(caught.value).startswith("data: ")
    assert part in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_near_miss_in_the_working_folder(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(make().parent)
    with pytest.raises(DatasetError, match=r"did you mean '.*/set/data\.yaml'"):
        resolve("dta.yaml", "detect")


def test_ultralytics_reads_what_was_checked(make: Make, tmp_path: Path) -> None:
    """With a relative `path`, Ultralytics would look elsewhere and run `download`."""
    from ultralytics.data.utils import check_det_dataset

    file = make("path: ../set\n" + SPLITS + HOSTILE)
    with pytest.raises(DatasetError, match="never executed"):
        resolve(str(make("path: ../gone\n" + SPLITS + HOSTILE)), "detect")
    make("path: ../set\n" + SPLITS + HOSTILE)
    info = resolve(str(file), "detect")
    assert info.source.parent == tmp_path / "cache" / "pinned"
    data = check_det_dataset(str(info.source))
    assert data["train"] == str(tmp_path / "set" / "images" / "train")
    assert "download" not in data
    assert not Path("ran").exists()
    assert resolve(str(file), "detect") == info
    assert len(list(info.source.parent.iterdir())) == 1


def test_an_unwritable_cache_names_the_variable(make: Make, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(DatasetError, match=f"{tmp_path / 'cache'}.*PROGRESSIVE_CACHE"):
        resolve(str(make(SPLITS + HOSTILE)), "detect")


def test_import_is_light() -> None:
    heavy = "{'torch', 'ultralytics', 'sklearn', 'cv2', 'numpy', 'hydra'}"
    modules = "sys, progressive.data, progressive.data.embedded.digits"
    code = f"import {modules}; print({heavy} & set(sys.modules))"
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

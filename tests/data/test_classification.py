"""Every mistake in a folder of images sorted into classes, and its message."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from progressive.data import DatasetError, check, check_image_folder, resolve

Change = Callable[[Path], object]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROGRESSIVE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes with two training images and one validation image each, all empty files."""
    home = tmp_path / "pets"
    for split, images in (("train", 2), ("val", 1)):
        for name in ("cat", "dog"):
            (home / split / name).mkdir(parents=True)
            for index in range(images):
                (home / split / name / f"{index}.jpg").touch()
    return home


def refusal(data: str | Path, task: str = "classify") -> str:
    with pytest.raises(DatasetError) as caught:
        check(str(data), task)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def test_accepts_a_folder_of_classes(folder: Path) -> None:
    info = check_image_folder(folder)
    assert info.source == info.root == folder
    assert info.names == ("cat", "dog")
    assert (info.train_images, info.val_images) == (4, 2)


@pytest.mark.parametrize("name", ["test", "valid", "validation"])
def test_accepts_the_other_names_of_val(folder: Path, name: str) -> None:
    (folder / "val").rename(folder / name)
    assert check_image_folder(folder).val_images == 2


def test_val_goes_before_test(folder: Path) -> None:
    shutil.copytree(folder / "train", folder / "test")
    assert check_image_folder(folder).val_images == 2


def test_a_relative_folder_is_handed_over_absolute(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    assert resolve("pets", "classify").source == folder
    assert not (folder.parent / "cache").exists()


def test_ultralytics_reads_what_was_checked(folder: Path) -> None:
    from ultralytics.data.utils import check_cls_dataset

    info = resolve(str(folder), "classify")
    found = check_cls_dataset(str(info.source), split="val")
    assert (found["train"], found["val"]) == (folder / "train", folder / "val")
    assert tuple(found["names"].values()) == info.names


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda f: shutil.rmtree(f / "train"), "train: no such folder; the data set must hold"),
        (lambda f: shutil.rmtree(f / "val"), "val: no such folder; the data set must hold"),
        (lambda f: shutil.rmtree(f / "val" / "dog"), "val: class 'dog' of train has no image here"),
        (lambda f: (f / "val/dog/0.jpg").unlink(), "val: class 'dog' of train has no image here"),
        (lambda f: (f / "val" / "emu").mkdir(), "val: class 'emu' is not in train"),
        (lambda f: (f / "train" / ".git").mkdir(), "train: class '.git' holds no image; must hold"),
        (lambda f: shutil.rmtree(f / "train" / "dog"), "classes ['cat']; needs at least 2"),
        (lambda f: (f / ".ndjson.yaml").touch(), "holds .ndjson.yaml; name the folders by class"),
    ],
)
def test_an_incomplete_folder(folder: Path, change: Change, part: str) -> None:
    change(folder)
    before = sorted(folder.parent.rglob("*"))
    message = refusal(folder)
    assert message.startswith(f"{folder}: ")
    assert part in message
    assert sorted(folder.parent.rglob("*")) == before


@pytest.mark.parametrize(
    ("data", "part"),
    [
        ("digits", "'digits' is for task=detect; for task=classify use blur, or a folder with"),
        ("blurr", "did you mean 'blur'?"),
        ("imagenet", "neither a folder nor an embedded data set (blur); give a folder with train/"),
        ("gone/pets", "data: does not exist"),
        ("x" * 300 + "/a", "cannot be read"),
        ("https://example.com/pets", "is remote and nothing is downloaded"),
        ("pets.zip", "is an archive and nothing is unpacked"),
        ("../pets.ndjson", "is an archive and nothing is unpacked"),
        ("../pets/train/cat/0.jpg", "is a file; task=classify takes a folder"),
    ],
)
def test_a_name_that_is_no_folder(folder: Path, data: str, part: str) -> None:
    assert part in refusal(data)


def test_a_near_miss_is_suggested(folder: Path) -> None:
    assert f"did you mean '{folder}'?" in refusal(folder.with_name("pet"))


def test_detection_takes_neither_blur_nor_a_folder(folder: Path) -> None:
    assert "'blur' is for task=classify; for task=detect use digits" in refusal("blur", "detect")
    assert "task=classify" in refusal(folder, "detect")

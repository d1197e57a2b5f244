"""The embedded classification data set on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from progressive.data import DatasetError, check_image_folder, resolve
from progressive.data.embedded.blur import CLASSES, SPEC, BlurSpec, blur
from progressive.data.embedded.photographs import Photograph

SMALL = BlurSpec(train_pairs=4, val_pairs=2)


@pytest.fixture(scope="module")
def full_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set as users get it, generated once."""
    return blur(tmp_path_factory.mktemp("cache"))


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def greys(folder: Path, split: str, name: str) -> np.ndarray:
    """The patches of a class, shape (n, side, side), float32."""
    paths = sorted((folder / split / name).iterdir())
    return np.stack([cv2.imread(str(p), cv2.IMREAD_GRAYSCALE) for p in paths]).astype(np.float32)


def best_accuracy(blurred: np.ndarray, sharp: np.ndarray) -> float:
    """Return the accuracy of the best threshold on one number per patch, in either direction."""
    values = np.concatenate([blurred, sharp])
    truth = np.arange(len(values)) >= len(blurred)
    right = [((values >= threshold) == truth).mean() for threshold in values]
    return max(*right, 1 - min(right))


def test_two_generations_are_byte_identical(tmp_path: Path) -> None:
    first, second = (contents(blur(tmp_path / name, SMALL)) for name in "ab")
    assert first == second
    assert len(first) == 2 * (4 + 2)


def test_a_patch_does_not_depend_on_how_many_there_are(tmp_path: Path, full_set: Path) -> None:
    small = contents(blur(tmp_path, SMALL))
    for name in ("train/sharp/0003.jpg", "val/blurred/0001.jpg"):
        assert small[name] == (full_set / name).read_bytes()


def test_a_changed_spec_is_another_folder(tmp_path: Path) -> None:
    assert blur(tmp_path, SMALL) != blur(tmp_path, replace(SMALL, seed=1))
    assert len(list(tmp_path.iterdir())) == 2


def test_no_photograph_is_in_both_splits() -> None:
    train, val = ({(p.package, p.file) for p in part} for part in (SPEC.train, SPEC.val))
    assert len(train) == 3
    assert len(val) == 2
    assert not train & val
    for part in (SPEC.train, SPEC.val):
        assert sum(photograph.share for photograph in part) == pytest.approx(1)


def test_classes_are_balanced_and_patches_differ(full_set: Path) -> None:
    info = check_image_folder(full_set)
    assert info.names == CLASSES == ("blurred", "sharp")
    assert (info.train_images, info.val_images) == (800, 300)
    for split, count in (("train", 400), ("val", 150)):
        for name in CLASSES:
            assert greys(full_set, split, name).shape == (count, 128, 128)
    assert len(set(contents(full_set).values())) == 800 + 300


@pytest.mark.parametrize("split", ["train", "val"])
def test_brightness_does_not_tell_the_classes_apart(full_set: Path, split: str) -> None:
    blurred, sharp = (greys(full_set, split, name).mean((1, 2)) for name in CLASSES)
    assert best_accuracy(blurred, sharp) < 0.6


@pytest.mark.parametrize("split", ["train", "val"])
def test_sharpness_differs(full_set: Path, split: str) -> None:
    def fine_detail(name: str) -> np.ndarray:
        # Smooth first, or the noise of both classes would count as detail.
        patches = [cv2.GaussianBlur(p, (0, 0), 0.8) for p in greys(full_set, split, name)]
        return np.array([cv2.Laplacian(p, cv2.CV_32F).std() / p.std() for p in patches])

    blurred, sharp = (fine_detail(name) for name in CLASSES)
    # Patches with the same number are a pair: they differ by the blur only.
    assert (blurred < sharp).mean() > 0.97
    assert np.median(blurred) < 0.6 * np.median(sharp)


def test_a_missing_photograph_leaves_nothing(tmp_path: Path) -> None:
    gone = Photograph("sklearn", "datasets/images/gone.jpg", (0.5, 0.6), 1.0)
    with pytest.raises(DatasetError, match=r"gone\.jpg of the package sklearn is missing"):
        blur(tmp_path, replace(SMALL, val=(gone,)))
    assert list(tmp_path.iterdir()) == []


def test_a_name_resolves_to_it(full_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROGRESSIVE_CACHE", str(full_set.parent))
    info = resolve("blur", "classify")
    assert info.source == full_set
    assert info.val_images == 300

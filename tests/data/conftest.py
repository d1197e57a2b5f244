"""Data sets shared by the tests of `progressive.data`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from progressive.data.embedded.digits import DigitsSpec, digits

Make = Callable[..., Path]


@pytest.fixture(scope="session")
def full_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The yaml of the embedded data set as users get it, generated once."""
    return digits(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def small_spec() -> DigitsSpec:
    return DigitsSpec(train_scenes=6, val_scenes=3)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a data yaml and, next to it, one labelled image for each split."""

    def build(text: str = "train: images/train\nval: images/val\nnames: [a, b]\n") -> Path:
        home = tmp_path / "set"
        for split in ("train", "val"):
            for kind in ("images", "labels"):
                (home / kind / split).mkdir(parents=True, exist_ok=True)
            # An empty file, because the checks never open an image.
            (home / "images" / split / "0.png").touch()
            (home / "labels" / split / "0.txt").write_text("0 .5 .5 1 1\n")
        file = home / "data.yaml"
        file.write_text(text, encoding="utf-8")
        return file

    return build

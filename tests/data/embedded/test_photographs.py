"""Photographs in installed packages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from progressive.data import DatasetError
from progressive.data.embedded.photographs import Photograph


def photograph(package: str, file: str) -> Photograph:
    return Photograph(package, file, scale=(0.5, 0.6), share=1.0)


def test_pixels_of_a_photograph() -> None:
    pixels = photograph("sklearn", "datasets/images/china.jpg").read()
    assert pixels.shape == (427, 640, 3)
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize(
    ("package", "file"),
    [("sklearn", "datasets/images/gone.jpg"), ("no_such_package", "a.jpg")],
)
def test_a_missing_photograph_is_one_line(package: str, file: str) -> None:
    with pytest.raises(DatasetError) as caught:
        photograph(package, file).path()
    assert str(caught.value) == (
        f"data: the photograph {file} of the package {package} is missing; "
        f"pip install --force-reinstall {package} brings it back"
    )


def test_an_empty_folder_is_not_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hollow").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(DatasetError, match="hollow is missing"):
        photograph("hollow", "a.jpg").path()


def test_a_file_that_is_not_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("__init__.py", "a.jpg"):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        (tmp_path / "pictures" / name).write_text("# text")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(DatasetError, match=r"a\.jpg is not an image; reinstall pictures"):
        photograph("pictures", "a.jpg").read()

"""Label caches of Ultralytics pass; one that contains code is refused and the code does not run."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
from ultralytics.data.dataset import YOLODataset

from progressive.data import DatasetError, check
from progressive.safe_loading.arrays import refuse_hostile_cache


class Hostile:
    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def save(file, value):
    with file.open("wb") as stream:
        np.save(stream, np.array(value, dtype=object), allow_pickle=True)


def test_a_cache_of_ultralytics_passes(tiny_data):
    folder = tiny_data.parent
    data = {"names": {0: "box"}, "nc": 1, "channels": 3}
    YOLODataset(str(folder / "images" / "train"), data=data, task="detect", imgsz=32)
    cache = folder / "labels" / "train.cache"
    assert cache.is_file()
    refuse_hostile_cache(cache)
    assert check(str(tiny_data), "detect").train_images == 12


def test_a_cache_with_code_is_refused(tiny_data, tmp_path):
    cache = tiny_data.parent / "labels" / "val.cache"
    before = cache.read_bytes() if cache.is_file() else None
    made = tmp_path / "executed"
    save(cache, {"labels": [Hostile(made)], "hash": "x"})
    try:
        with pytest.raises(DatasetError, match=r"val.cache.*names (posix|nt)\.mkdir.*remove"):
            check(str(tiny_data), "detect")
    finally:
        cache.unlink()
        if before is not None:
            cache.write_bytes(before)
    assert not made.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00\x04\x00abcdxyz",
        pickle.dumps("a pickle that is not in an array, which NumPy reads too"),
    ],
)
def test_a_damaged_cache_is_refused(content, tmp_path):
    file = tmp_path / "train.cache"
    refuse_hostile_cache(file)  # does not exist yet
    file.write_bytes(content)
    with pytest.raises(DatasetError, match=r"train\.cache.*is not a readable label cache"):
        refuse_hostile_cache(file)


def test_folders_of_classes_too(tmp_path):
    import cv2

    for split in ("train", "val"):
        for name in ("a", "b"):
            (tmp_path / split / name).mkdir(parents=True)
            cv2.imwrite(str(tmp_path / split / name / "0.png"), np.zeros((8, 8, 3), np.uint8))
    assert check(str(tmp_path), "classify") is not None
    save(tmp_path / "train.cache", {"x": Hostile(tmp_path / "executed")})
    with pytest.raises(DatasetError, match="label cache that names"):
        check(str(tmp_path), "classify")
    assert not (tmp_path / "executed").exists()

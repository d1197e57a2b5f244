"""The embedded data set on disk."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from progressive.data import check_dataset
from progressive.data.embedded.digits import SPEC, DigitsSpec, digits


def contents(yaml: Path) -> dict[str, bytes]:
    files = (path for path in yaml.parent.rglob("*") if path.is_file())
    return {str(path.relative_to(yaml.parent)): path.read_bytes() for path in files}


def test_two_generations_are_byte_identical(tmp_path: Path, small_spec: DigitsSpec) -> None:
    first, second = (contents(digits(tmp_path / name, small_spec)) for name in "ab")
    assert first == second
    assert len(first) == 2 * (6 + 3) + 1


def test_a_scene_does_not_depend_on_how_many_there_are(
    tmp_path: Path, small_spec: DigitsSpec, full_set: Path
) -> None:
    small = contents(digits(tmp_path, small_spec))
    for name in ("images/train/0005.jpg", "labels/val/0002.txt"):
        assert small[name] == (full_set.parent / name).read_bytes()


def test_scenes_differ(full_set: Path) -> None:
    images = [path.read_bytes() for path in full_set.parent.rglob("*.jpg")]
    assert len(images) == len(set(images)) == 384 + 128


def test_a_changed_spec_is_another_folder(tmp_path: Path, small_spec: DigitsSpec) -> None:
    other = replace(small_spec, seed=1)
    assert digits(tmp_path, small_spec).parent != digits(tmp_path, other).parent
    assert len(list(tmp_path.iterdir())) == 2


def test_what_is_there_is_used(tmp_path: Path, small_spec: DigitsSpec) -> None:
    yaml = digits(tmp_path, small_spec)
    before = yaml.stat().st_mtime_ns
    assert digits(tmp_path, small_spec) == yaml
    assert yaml.stat().st_mtime_ns == before
    (yaml.parent / "labels" / "val" / "0001.txt").unlink()
    digits(tmp_path, small_spec)
    assert (yaml.parent / "labels" / "val" / "0001.txt").is_file()


def test_labels_cover_every_class_evenly(full_set: Path) -> None:
    for split, scenes in (("train", 384), ("val", 128)):
        texts = [p.read_text() for p in (full_set.parent / "labels" / split).iterdir()]
        assert len(texts) == scenes
        classes = Counter(line.split()[0] for text in texts for line in text.splitlines())
        assert set(classes) == set("0123456789")
        assert min(classes.values()) > 0.6 * max(classes.values())


def test_our_own_check_accepts_it(full_set: Path) -> None:
    info = check_dataset(full_set)
    assert info.names == tuple("0123456789")
    assert (info.train_images, info.val_images) == (384, 128)


def test_ultralytics_accepts_it(full_set: Path, tmp_path: Path) -> None:
    from ultralytics.data import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    moved = full_set.parent.rename(tmp_path / "moved") / "data.yaml"
    try:
        data = check_det_dataset(str(moved), autodownload=False)
        assert data["nc"] == 10
        assert data["names"][7] == "7"
        for split, count in (("train", 384), ("val", 128)):
            assert data[split] == str(moved.parent / "images" / split)
            found = YOLODataset(img_path=data[split], data=data, imgsz=64, augment=False)
            assert len(found) == count
            labels = moved.parent / "labels"
            (cache,) = labels.glob(f"{split}.cache")
            # Found, missing, empty, corrupt, total.
            assert found.cache_labels(cache)["results"] == (count, 0, 0, 0, count)
            shown = {label["shape"] for label in found.labels}
            assert shown == {(256, 256)}
    finally:
        moved.parent.rename(full_set.parent)
    assert digits(full_set.parent.parent) == full_set


@pytest.mark.parametrize(("split", "count"), [("train", 384), ("val", 128)])
def test_scenes_per_split(split: str, count: int) -> None:
    assert SPEC.scenes(split) == count

"""A data set as a whole: what is left out, what is refused, what two splits share."""

import json
import os
import shutil

import pytest
from PIL import Image

from progressive.data import check
from progressive.data.preflight import preflight, sentences
from progressive.data.preflight.splits import shared_images
from progressive.errors import DatasetError

#: Enough that one bad image of them is less than a tenth.
IMAGES = 12


@pytest.fixture
def data(tmp_path):
    """12 training and 2 validation images, each of another grey."""
    for split, count in (("train", IMAGES), ("val", 2)):
        for kind in ("images", "labels"):
            (tmp_path / kind / split).mkdir(parents=True)
        for number in range(count):
            level = number + (100 if split == "val" else 0)
            Image.new("RGB", (32, 32), (level,) * 3).save(tmp_path / f"images/{split}/{number}.png")
            (tmp_path / f"labels/{split}/{number}.txt").write_text("0 .5 .5 .5 .5\n")
    yaml = tmp_path / "data.yaml"
    yaml.write_text(f"path: {tmp_path}\ntrain: images/train\nval: images/val\nnames: [box]\n")
    return yaml


def looked_at(data, max_bad=0.1, task="detect"):
    return preflight(check(str(data), task), task, max_bad, data.parent / "cache")


def outline(data, but=()):
    """Give all images an outline of four corners; those of `but` keep their box."""
    for file in data.parent.glob("labels/*/*.txt"):
        if f"{file.parent.name}/{file.name}" not in but:
            file.write_text("0 .2 .2 .8 .2 .8 .8 .2 .8\n")


def test_nothing_is_said_of_clean_data(data):
    found = looked_at(data)
    boxes = {"images": IMAGES, "examples": found["train"]["boxes"]["examples"]}
    assert found["train"] == {"images": IMAGES, "left_out": 0, "problems": {}, "boxes": boxes}
    assert sentences(found) == []


def test_a_few_are_counted(data):
    (data.parent / "labels/train/3.txt").write_text("7 .5 .5 .5 .5\n")
    assert sentences(looked_at(data)) == [
        "1 of 12 train images are left out: 1 with class 7 of 1 (as 3.png)."
    ]


def test_classes_that_are_trained_as_one_may_have_any_number(data):
    (data.parent / "labels/train/3.txt").write_text("7 .5 .5 .5 .5\n")
    info = check(str(data), "detect")
    found = preflight(info, "detect", 0.0, data.parent / "cache", single_class=True)
    assert found["train"]["left_out"] == 0


def test_many_are_refused_and_the_most_frequent_comes_first(data):
    for number in (1, 2):
        (data.parent / f"labels/train/{number}.txt").write_text("0 9 9 1 1\n")
    (data.parent / "images/train/0.png").write_bytes(b"")
    with pytest.raises(DatasetError) as error:
        looked_at(data)
    assert str(error.value) == (
        f"{data}: train: 3 of 12 images cannot be used, more than max_bad=0.1: "
        "2 with coordinates above 1 (as 1.png); 1 with an empty file (as 0.png)"
    )


def test_all_are_refused_whatever_may_be_left_out(data):
    for number in range(2):
        (data.parent / f"images/val/{number}.png").write_bytes(b"x")
    with pytest.raises(DatasetError, match="val: 2 of 2 images cannot be used"):
        looked_at(data, max_bad=1.0)


def test_an_image_of_both_splits(data):
    shutil.copy(data.parent / "images/train/5.png", data.parent / "images/val/0.png")
    (said,) = sentences(looked_at(data))
    assert said.startswith("1 val images are in train as well, as 5.png and 0.png")


def test_images_of_one_size_and_the_same_ends_are_told_apart(tmp_path):
    def image(name, middle):
        (tmp_path / name).write_bytes(b"a" * 5000 + middle + b"z" * 5000)
        return str(tmp_path / name)

    train = [image("0", b"0"), image("1", b"1"), image("2", b"1")]
    val = [image("3", b"1"), image("4", b"4"), str(tmp_path / "missing")]
    assert shared_images(train, val) == [(train[1], val[0])]


@pytest.mark.parametrize("task", ["segment", "obb"])
def test_a_single_box_among_outlines_is_refused(data, task):
    outline(data, but=["val/1.txt"])
    labels = data.parent / "labels"
    message = (
        f"val: 1 of 2 images have boxes as labels, as {labels / 'val/1.txt'}: to {task}, every"
    )
    for _ in range(2):  # found, then kept
        with pytest.raises(DatasetError) as error:
            looked_at(data, task=task)
        assert message in str(error.value)
    assert looked_at(data)["val"]["left_out"] == 0  # a detector takes both
    # Ultralytics leaves the image out before it counts.
    (labels / "val/1.txt").write_text("7 .5 .5 .5 .5\n")
    assert looked_at(data, max_bad=0.5, task=task)["val"]["left_out"] == 1
    (labels / "val/1.txt").unlink()  # an image without objects
    assert looked_at(data, task=task)["val"]["left_out"] == 0


def test_outlines_that_are_all_boxes(data):
    with pytest.raises(DatasetError, match="train: 12 of 12 images have boxes as labels"):
        looked_at(data, task="segment")


def test_keypoints_of_another_number_are_looked_at_anew(data):
    looked_at(data)
    data.write_text(f"{data.read_text()}kpt_shape: [1, 2]\n")
    (kept,) = (data.parent / "cache").iterdir()
    looked_at(data)
    assert len([*kept.parent.iterdir()]) == 2


def test_a_pipe_is_refused(data):
    os.mkfifo(data.parent / "images/train/pipe.jpg")
    with pytest.raises(DatasetError, match=r"pipe\.jpg' is a pipe or a device"):
        looked_at(data)


def test_the_result_is_kept_until_a_file_changes(data):
    looked_at(data)
    (kept,) = (data.parent / "cache").iterdir()
    kept.write_text(json.dumps({**json.loads(kept.read_text()), "shared": None, "mark": 1}))
    assert looked_at(data)["mark"] == 1
    (data.parent / "labels/train/0.txt").write_text("0 .5 .5 .25 .25 \n")
    assert "mark" not in looked_at(data)
    kept.write_text("{")  # damaged
    assert looked_at(data)["train"]["left_out"] == 0


def test_a_cache_that_cannot_be_written_does_not_matter(data):
    (data.parent / "cache").write_text("a file")
    assert looked_at(data)["train"]["left_out"] == 0

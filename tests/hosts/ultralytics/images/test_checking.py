"""How Ultralytics checks images while a training lasts."""

from __future__ import annotations

import inspect
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image
from ultralytics.cfg import get_cfg
from ultralytics.data import utils
from ultralytics.data.dataset import ClassificationDataset, YOLODataset
from ultralytics.utils.patches import imread

from progressive.errors import InputError
from progressive.hosts.ultralytics.images.checking import check_without_writing

SIDE = 64


@pytest.fixture
def checked():
    undo = check_without_writing()
    yield
    undo()


@pytest.fixture
def folder(tmp_path):
    """Four JPEGs of noise: whole, with bytes behind the end, cut off, and a GIF by another name."""
    for kind in ("images", "labels"):
        (tmp_path / kind / "train").mkdir(parents=True)
    images = tmp_path / "images" / "train"
    pixels = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    whole = cv2.imencode(".jpg", pixels)[1].tobytes()
    contents = {"a": whole, "b": whole + bytes(50), "c": whole[: len(whole) // 2]}
    gif = BytesIO()  # which OpenCV 4.11 cannot write
    Image.fromarray(pixels).save(gif, "GIF")
    contents["d"] = gif.getvalue()
    for name, content in contents.items():
        (images / f"{name}.jpg").write_bytes(content)
        (tmp_path / "labels" / "train" / f"{name}.txt").write_text("0 .5 .5 .5 .5\n")
    return tmp_path


def boxes(folder, task="detect"):
    data = {"names": {0: "box"}, "channels": 3}
    path = str(folder / "images" / "train")
    return YOLODataset(img_path=path, imgsz=SIDE, data=data, task=task, prefix="train: ")


def contents(folder):
    return {file.name: file.read_bytes() for file in (folder / "images").rglob("*.jpg")}


def test_files_are_only_read(folder, checked):
    before = contents(folder)
    dataset = boxes(folder)
    assert [file[-5:] for file in dataset.im_files] == ["a.jpg", "b.jpg"]
    assert dataset.load_image(1)[0].shape == (SIDE, SIDE, 3)
    assert contents(folder) == before


def test_so_are_those_of_a_classification(folder, checked):
    before = contents(folder)
    dataset = ClassificationDataset(str(folder / "images"), get_cfg(overrides={"imgsz": SIDE}))
    assert [sample[0][-5:] for sample in dataset.samples] == ["a.jpg", "b.jpg"]
    assert contents(folder) == before


def test_what_opencv_cannot_read_is_left_out(folder, checked):
    image = np.zeros((SIDE, SIDE), np.float32)
    cv2.imwrite(str(folder / "images" / "train" / "e.tif"), image)
    assert imread(folder / "images" / "train" / "e.tif") is None
    assert len(boxes(folder).im_files) == 2


@pytest.mark.parametrize(
    ("without", "task", "message"),
    [
        (
            "ab",
            "detect",
            r"images/train: No valid images found in .* For one: .*c\.jpg: .* its end",
        ),
        ("cd", "segment", "images/train: Segment dataset requires equal numbers of boxes"),
    ],
)
def test_a_split_that_cannot_be_used_is_one_line(folder, checked, without, task, message):
    for name in without:
        (folder / "images" / "train" / f"{name}.jpg").unlink()
    with pytest.raises(InputError, match=message) as error:
        boxes(folder, task)
    assert len(str(error.value)) < 600


def test_other_errors_stay_what_they_are(folder, checked, monkeypatch):
    monkeypatch.setattr(YOLODataset, "get_label_files", lambda _: [][0])
    with pytest.raises(IndexError):
        boxes(folder)


def test_afterwards_all_is_as_before(folder):
    parts = lambda: (utils.check_image, utils._replace_image, YOLODataset.get_labels)  # noqa: E731
    own = parts()
    undo = check_without_writing()
    check_without_writing()()  # of a training inside, which leaves it to the one outside
    assert not set(own) & set(parts())
    undo()
    assert parts() == own
    before = contents(folder)
    utils.check_image(str(folder / "images" / "train" / "b.jpg"))
    assert contents(folder) != before  # so it is worth the while


def test_what_we_lean_on():
    assert list(inspect.signature(utils._replace_image).parameters) == ["im_file", "write"]
    assert list(inspect.signature(utils.check_image).parameters) == ["im_file"]

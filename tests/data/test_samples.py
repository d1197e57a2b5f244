"""Images and boxes in YOLO format."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from progressive.data import DatasetError
from progressive.data.samples import YoloSamples


@pytest.fixture
def folder(tmp_path):
    """Two blue images, 40 pixels wide and 20 high: one with a box, one without a label file."""
    images, labels = tmp_path / "images" / "train", tmp_path / "labels" / "train"
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    blue = np.zeros((20, 40, 3), np.uint8)
    blue[..., 0] = 255  # OpenCV writes BGR
    cv2.imwrite(str(images / "a.png"), blue)
    cv2.imwrite(str(images / "b.png"), blue)
    (labels / "a.txt").write_text("3 0.5 0.5 0.5 0.2\n")
    return images


def test_reads_pixels_and_boxes(folder):
    samples = YoloSamples(folder)
    assert len(samples) == 2
    image, boxes, labels = samples[0]
    assert image.shape == (20, 40, 3)
    assert image[0, 0].tolist() == [0, 0, 255]
    assert boxes.tolist() == [[10, 8, 30, 12]]
    assert labels.tolist() == [3]
    _, boxes, labels = samples[1]
    assert (boxes.shape, labels.shape) == ((0, 4), (0,))


def test_blank_lines_and_a_byte_order_mark_are_left_out(folder):
    labels = folder.parents[1] / "labels" / "train" / "a.txt"
    labels.write_text("3 0.5 0.5 0.5 0.2\n\n4 0.5 0.5 0.5 0.2\n \n", "utf-8-sig")
    assert YoloSamples(folder)[0][2].tolist() == [3, 4]


@pytest.mark.parametrize("text", ["3 0.5 0.5 0.5\n", "3 0.5 0.5 0.5 x\n", "0 1 1 1 1\n0 1\n"])
def test_malformed_labels_name_the_file(folder, text):
    (folder.parents[1] / "labels" / "train" / "a.txt").write_text(text)
    with pytest.raises(DatasetError, match=r"a\.txt: every line must hold 5 numbers"):
        YoloSamples(folder)[0]


def test_unusable_images(folder, tmp_path):
    with pytest.raises(DatasetError, match="nowhere: holds no image"):
        YoloSamples(tmp_path / "nowhere")
    (folder / "a.png").write_bytes(b"text")
    with pytest.raises(DatasetError, match=r"a\.png: is not an image"):
        YoloSamples(folder)[0]

"""Rows of labels, good and bad."""

import os
import warnings

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ultralytics.data.utils import verify_image_label

from progressive.data.preflight.labels import judge_labels


def label_problem(*args, **kwargs):
    return judge_labels(*args, **kwargs).problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", None),
        ("\n 0 .5 .5 .2 .2 \n\n", None),
        ("\ufeff1 .5 .5 .2 .2", None),
        ("0 1.005 .5 .2 .2", None),  # within the tolerance
        ("0 .1 .1 .9 .1 .5 .9", None),  # an outline of three points
        ("0 .5 .5 .2", "a label of 4 numbers, not 5"),
        ("0 .5 .5 .2 .2 .3", "a label of 6 numbers, not 5"),
        ("0 .5 .5 .2 .2\n0 .1 .1 .9 .1 .5 .9", "boxes and outlines in one label file"),
        ("0 .1 .1 .9 .1 .5 .9 .3", "a label of 8 numbers, not 5"),
        ("cat .5 .5 .2 .2", "a label that is no number"),
        ("0 nan .5 .2 .2", "a label that is not finite"),
        ("0 inf .5 .2 .2", "a label that is not finite"),
        ("0.5 .5 .5 .2 .2", "a class that is no whole number from 0"),
        ("-1 .5 .5 .2 .2", "a class that is no whole number from 0"),
        ("2 .5 .5 .2 .2", "class 2 of 2"),
        ("0 50 50 20 20", "coordinates above 1"),
        ("0 -.2 .5 .2 .2", "coordinates below 0"),
        ("0 .5 .5 -.005 .2", "a box of negative size"),
    ],
)
def test_what_is_said_of_a_file(tmp_path, text, problem):
    (tmp_path / "a.txt").write_text(text, "utf-8")
    assert label_problem(str(tmp_path / "a.txt"), classes=2) == problem


@pytest.mark.parametrize(
    ("text", "boxes"),
    [
        ("", False),
        ("0 .5 .5 .2 .2", True),
        ("0 .1 .1 .9 .1 .5 .9", False),
        ("0 .1 .1 .9 .1 .5 .9\n0 .1 .1", False),  # of two numbers, an outline as well
        ("7 .5 .5 .2 .2", True),  # left out, which goes first
    ],
)
def test_boxes_are_told_from_outlines(tmp_path, text, boxes):
    (tmp_path / "a.txt").write_text(text, "utf-8")
    assert judge_labels(str(tmp_path / "a.txt"), classes=2).boxes == boxes


def test_a_missing_file_is_an_image_without_objects(tmp_path):
    assert label_problem(str(tmp_path / "a.txt"), classes=2) is None


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe0")
    assert label_problem(str(tmp_path / "a.txt"), classes=2) == "labels are no UTF-8 text"


def test_what_has_the_name_of_a_label_file_and_is_none(tmp_path):
    os.mkfifo(tmp_path / "a.txt")  # reading it would wait for ever
    (tmp_path / "b.txt").mkdir()
    assert label_problem(str(tmp_path / "a.txt"), classes=2) is None
    assert label_problem(str(tmp_path / "b.txt"), classes=2) is None


def test_poses_have_a_fixed_number_of_columns(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("0 .5 .5 .2 .2 .3 .4 2")
    assert label_problem(str(file), 1, (1, 3), pose=True) is None
    assert label_problem(str(file), 1, (1, 3)) is None  # the box of a pose, for another task
    assert label_problem(str(file), 1, (2, 2), pose=True) == "a label of 8 numbers, not 9"
    file.write_text("0 .5 .5 .2 .2 3 .4 2")
    assert label_problem(str(file), 1, (1, 3), pose=True) == "coordinates above 1"
    file.write_text("0 .5 .5 .2 .2")
    assert label_problem(str(file), 1, (1, 3), pose=True) == "a label of 5 numbers, not 8"


NUMBERS = st.one_of(
    st.integers(-2, 4).map(str),
    st.floats(-0.02, 1.02).map(repr),
    st.floats(width=32).map(str),
    st.sampled_from(["1.01", "1.0100001", "-0.01", "-0.0100001", "1e39", "0.99999999", "1_0", "٣"]),
    st.sampled_from(["-0.005", "nan", "inf", "x", "0x1", "1e-400", "--1", "2.5"]),
)
ROWS = st.lists(NUMBERS, min_size=1, max_size=9).map(" ".join)
BOXES = st.tuples(st.sampled_from("01"), *[st.floats(-0.01, 1.01).map(repr)] * 4).map(" ".join)
LINES = st.lists(st.one_of(BOXES, ROWS, st.just(""), st.text(max_size=5)), max_size=4)
FILES = st.one_of(st.binary(max_size=60), LINES.map(lambda rows: "\n".join(rows).encode()))
SHAPES = st.sampled_from([(None, False), ((1, 3), False), ((1, 3), True), ((2, 2), True)])


@settings(max_examples=400, deadline=None, derandomize=True)
@given(content=FILES, shape=SHAPES)
@example(content=b"0 .1 .1 .9 .1 .5 .9\n0 .5 .5", shape=(None, False))
@example(content=b"0 -.3 .1 .6 .1 .5 .9", shape=(None, False))  # an outline beyond the image
@example(content=b"0 9 9 9 9 .5 .5 2", shape=((1, 3), True))
@example(content=b"1.00000001 .5 .5 .2 .2", shape=(None, False))
def test_whatever_the_bytes_it_is_as_ultralytics_has_it(whole_image, content, shape):
    keypoints, pose = shape
    points, values = keypoints or (0, 0)
    labels = whole_image.with_suffix(".txt")
    labels.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers too large for 32 bits
        asked = (str(whole_image), str(labels), "", pose, 2, points, values, False)
        _, rows, _, outlines, *_, corrupt, _ = verify_image_label(asked)
    found = judge_labels(str(labels), 2, keypoints, pose=pose)
    assert (found.problem is not None) == bool(corrupt)
    if not corrupt:
        assert found.boxes == (len(rows) != len(outlines))


@pytest.fixture(scope="module")
def whole_image(tmp_path_factory):
    path = tmp_path_factory.mktemp("labels") / "a.png"
    cv2.imwrite(str(path), np.zeros((32, 32, 3), np.uint8))
    return path

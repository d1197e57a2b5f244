"""Rows of labels, good and bad."""

import pytest

from progressive.data.preflight.labels import label_problem


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


def test_a_missing_file_is_an_image_without_objects(tmp_path):
    assert label_problem(str(tmp_path / "a.txt"), classes=2) is None


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe0")
    assert label_problem(str(tmp_path / "a.txt"), classes=2) == "labels are no UTF-8 text"


def test_poses_have_a_fixed_number_of_columns(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("0 .5 .5 .2 .2 3 4 2")  # a keypoint may lie anywhere
    assert label_problem(str(file), classes=1, columns=8) is None
    file.write_text("0 .5 .5 .2 .2")
    assert label_problem(str(file), classes=1, columns=8) == "a label of 5 numbers, not 8"

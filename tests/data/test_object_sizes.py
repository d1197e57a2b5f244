"""The median side of objects, from labels of every form."""

import pytest

from progressive.data.object_sizes import median_object_side


def data_set(folder, labels, more=""):
    """Write images that nobody opens, with these labels."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir()
    for number, text in enumerate(labels):
        (folder / "images" / f"{number:04}.jpg").touch()
        if text is not None:
            (folder / "labels" / f"{number:04}.txt").write_text(text)
    yaml = folder / "data.yaml"
    yaml.write_text(f"train: images\nval: images\nnames: [a]\n{more}")
    return yaml


@pytest.mark.parametrize(
    ("labels", "side"),
    [
        (["0 .5 .5 .4 .9\n", "0 .5 .5 .2 .2\n0 .5 .5 .3 .3"], 0.3),  # 0.6, 0.2, 0.3
        (["0 .1 .1 .5 .1 .5 .9 .1 .9"], 0.32**0.5),  # an outline, 0.4 by 0.8
        ([None, "", "0 .5 .5 .5 .5"], 0.5),  # images without labels or objects
        (["what\n0 .5 .5 nan .5\n0 .5 .5 0 .5\n0 .5 .5 7 .5\n0 .5 .5 .5 .5\n0 1 2"], 0.5),
        (["", None], None),
    ],
)
def test_the_median(tmp_path, labels, side):
    found = median_object_side(data_set(tmp_path, labels), tmp_path)
    assert found == (side if side is None else pytest.approx(side))


@pytest.mark.parametrize(("shape", "row"), [((3, 2), ".1 .1 " * 3), ((2, 3), ".1 .1 2 " * 2)])
def test_keypoints_are_no_outline(tmp_path, shape, row):
    yaml = data_set(tmp_path, [f"0 .5 .5 .4 .9 {row}"], f"kpt_shape: {[*shape]}\n")
    assert median_object_side(yaml, tmp_path) == pytest.approx(0.6)

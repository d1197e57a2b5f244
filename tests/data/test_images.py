"""Images and labels are found by the rules of Ultralytics."""

from __future__ import annotations

from pathlib import Path

import pytest
from ultralytics.data.utils import IMG_FORMATS, img2label_paths

from progressive.data.images import IMAGE_FORMATS, label_path, resolve_entry, walk_images
from progressive.errors import DatasetError


def test_formats_are_those_of_ultralytics() -> None:
    assert set(IMG_FORMATS) == IMAGE_FORMATS


@pytest.mark.parametrize("image", ["/a/images/b/images/c.d.jpg", "/a/c.png", "images/c.png"])
def test_labels_are_where_ultralytics_looks_for_them(image: str) -> None:
    assert [label_path(image)] == img2label_paths([image])


def test_the_label_of_an_image_by_hand() -> None:
    assert label_path("/set/images/train/a.b.jpg") == "/set/labels/train/a.b.txt"


def test_a_walk_follows_links_and_skips_hidden_names(tmp_path: Path) -> None:
    for name in ("a.png", "b/c.JPG", ".hidden.png", ".git/d.png", "notes.txt", "png", "e.gif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "f").symlink_to(tmp_path / "b", target_is_directory=True)
    found = {str(Path(path).relative_to(tmp_path)) for path in walk_images(tmp_path)}
    assert found == {"a.png", "b/c.JPG", "f/c.JPG"}


@pytest.mark.parametrize("target", ["", "b"])
def test_a_link_that_loops_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "loop").symlink_to(tmp_path / target, target_is_directory=True)
    with pytest.raises(DatasetError, match="loop: is a link to a folder that it lies in"):
        list(walk_images(tmp_path))


def test_a_parent_folder_that_does_not_exist_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "beside").mkdir()
    root = tmp_path / "set"
    assert resolve_entry(root, "images") == root / "images"
    assert resolve_entry(root, "../images") == root / "images"
    assert resolve_entry(root, "../beside") == tmp_path / "beside"

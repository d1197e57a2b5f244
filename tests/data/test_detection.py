"""Every mistake in a data yaml, and its message."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from progressive.data import DatasetError, check_dataset

Make = Callable[..., Path]
BCCD = Path(__file__).parents[3] / "shared" / "data" / "bccd" / "bccd.yaml"
SPLITS = "train: images/train\nval: images/val\n"


def refusal(path: str | Path, task: str = "detect") -> str:
    with pytest.raises(DatasetError) as caught:
        check_dataset(path, task)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def test_accepts_a_plain_data_set(make: Make) -> None:
    file = make()
    info = check_dataset(file)
    assert info.source == file
    assert info.root == file.parent
    assert info.names == ("a", "b")
    assert (info.train_images, info.val_images) == (1, 1)


def test_channels_are_three_unless_given(make: Make) -> None:
    assert check_dataset(make()).channels == 3
    assert check_dataset(make(f"{SPLITS}names: [a]\nchannels: 10")).channels == 10


@pytest.mark.skipif(not BCCD.exists(), reason="the BCCD data set is not here")
def test_accepts_bccd() -> None:
    info = check_dataset(BCCD)
    assert info.names == ("RBC", "WBC", "Platelets")
    assert (info.train_images, info.val_images) == (205, 87)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("names: {0: a, 1: b}", ("a", "b")),
        ("names: {'1': b, '0': a}", ("a", "b")),
        ("names: [0, yes]", ("0", "True")),
        ("nc: 2", ("class_0", "class_1")),
        ("nc: '2'\nnames: [a, b]", ("a", "b")),
        ("nc: 2.0\nnames:", ("class_0", "class_1")),
        ("names: [Größe]", ("Größe",)),
    ],
)
def test_names_in_every_accepted_form(make: Make, names: str, expected: tuple[str, ...]) -> None:
    assert check_dataset(make(SPLITS + names)).names == expected


@pytest.mark.parametrize(
    ("text", "field", "part"),
    [
        (SPLITS, "names", "missing; list the class names"),
        (SPLITS + "name: [a]", "names", "'names' instead of 'name'?"),
        (SPLITS + "names: []", "names", "is empty"),
        (SPLITS + "names: cat", "names", "must be a list or a mapping, not 'cat'"),
        (SPLITS + "names: {1: a, 2: b}", "names", "has the indices [1, 2]; must be 0 to 1"),
        (SPLITS + "names: {cat: 0}", "names", "['cat'] as keys; must be the class indices"),
        (SPLITS + "names: [a, ]\nnc: 3", "nc", "3 but names lists 1 classes"),
        (SPLITS + "names:\n- a\n-\n", "names[1]", "None must be a name"),
        (
            SPLITS + "names: [a]\nchannels: 0",
            "channels",
            "0 must be a whole number from 1 to 10000",
        ),
        (SPLITS + "names: [a]\nchannels: '4'", "channels", "'4' must be a whole number"),
        (SPLITS + "names: [a]\nchannels: true", "channels", "True must be a whole number"),
        (SPLITS + "names: [a]\nchannels:", "channels", "None must be a whole number"),
        (SPLITS + "nc: 1.5", "nc", "1.5 must be a whole number"),
        (SPLITS + "nc: 0", "nc", "0 must be a whole number from 1 to 100000"),
        (SPLITS + "nc: 1.0e+300", "nc", "1e+300 must be a whole number from 1 to 100000"),
        (SPLITS + "names: [a]\nnames: [b]", "data", "line 4: 'names' is given twice"),
        (SPLITS + "names: {'00': a, 0: b}", "names", "has an index twice: [0, 0]"),
        (SPLITS + "names: {.inf: a}", "names", "[inf] as keys; must be the class"),
        (SPLITS + "names: {0.0: a, 1.5: b}", "names", "[0.0, 1.5] as keys; must be the class"),
        (
            "train: images/train\nval:\nnames: [a]",
            "val",
            "missing; give a folder of images or a .txt list",
        ),
        (SPLITS + "nc: true", "nc", "True must be a whole number"),
        (SPLITS + "nc: .inf", "nc", "inf must be a whole number"),
        ("val: images/val\nnames: [a]", "train", "missing; give a folder"),
        ("trian: x\nval: images/val\nnames: [a]", "train", "'train' instead of 'trian'?"),
        ("train: images/train\nnames: [a]", "val", "missing; give a folder"),
        ("train: images/train\nval:\nvalidation: images/val\nnames: [a]", "val", "missing"),
        ("train: 3\nval: images/val\nnames: [a]", "train", "3 must be a folder of images"),
        ("train: []\nval: images/val\nnames: [a]", "train", "[] must be a folder of images"),
        ("train: [images/train, 1]\nval: x\nnames: [a]", "train", "1] must be a folder of images"),
        ("train: images/trian\nval: x\nnames: [a]", "train", "images/train'?"),
        ("train: imges/train\nval: x\nnames: [a]", "train", "did you mean"),
        ("train: images/train/0.png\nval: x\nnames: [a]", "train", "must be a folder of images"),
        ("train: labels/train\nval: x\nnames: [a]", "train", "holds no image; must hold"),
        ('train: "a\\0b"\nval: x\nnames: [a]', "data", "null byte"),
        (SPLITS + "path: 3\nnames: [a]", "path", "3 must be the folder"),
        (SPLITS + "path: ../sett\nnames: [a]", "path", "did you mean"),
        (SPLITS + "path: /nowhere/at/all\nnames: [a]", "path", "is not a folder"),
        ("train: [images/train", "data", "is not valid YAML at line 1"),
        ("- train", "data", "must be a mapping with train, val and names, not a list"),
        ("", "data", "must be a mapping with train, val and names, not empty"),
        ("just text", "data", "not 'just text'"),
        ("train: !!python/object/apply:os.getcwd []", "data", "is not valid YAML"),
        ("train: 2024-99-99", "data", "is not valid YAML"),
        ("[" * 5000, "data", "is not valid YAML"),
    ],
)
def test_a_wrong_field_is_one_line(make: Make, text: str, field: str, part: str) -> None:
    file = make(text)
    message = refusal(file)
    assert message.startswith(f"{file}: {field}: ")
    assert part in message


@pytest.mark.parametrize(
    "value",
    ["[1, 0]", "[0, 1, 3]", "[-1, 0, 1]", "[0, 0, 1]", "[a, b, c]", "[0., 1., 2.]", "3", "", "{}"],
)
def test_a_flip_idx_names_every_keypoint_once(make: Make, value: str) -> None:
    pose = f"{SPLITS}names: [a]\nkpt_shape: [3, 3]\n"
    for right in ("", "flip_idx: []", "flip_idx: [0, 2, 1]"):
        check_dataset(make(pose + right), "pose")
    file = make(f"{pose}flip_idx: {value}")
    check_dataset(file)  # which has no keypoints
    message = refusal(file, "pose")
    assert message.startswith(f"{file}: flip_idx: ")
    assert "must name each of the 3 keypoints of kpt_shape once, as [0, 1, 2] where" in message


def test_a_long_value_is_cut(make: Make) -> None:
    message = refusal(make(SPLITS + f"names: {{{', '.join(f'{i}: x' for i in range(1, 999))}}}"))
    assert len(message) < 400
    assert message.endswith("must be 0 to 997 without gaps")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("set/dta.yaml", "set/data.yaml'?"),
        ("sett/data.yaml", "did you mean"),
        ("set", "is a folder; did you mean"),
        ("set/images", "is a folder; give the data.yaml"),
        ("set/labels/train/0.txt", "must end in .yaml or .yml, not '.txt'"),
        ("x" * 300 + ".yaml", "cannot be read"),
    ],
)
def test_a_wrong_path_is_one_line(make: Make, tmp_path: Path, name: str, part: str) -> None:
    make()
    message = refusal(tmp_path / name)
    assert message.startswith(f"{tmp_path / name}: data: ")
    assert part in message


def test_a_line_break_in_a_path_stays_one_line(tmp_path: Path) -> None:
    assert "a b.yaml" in refusal(tmp_path / "a\nb.yaml")


@pytest.mark.parametrize(
    "value",
    ["https://host/data.yaml", "ul://me/datasets/x", "set.ZIP", "a/b.tar.gz", "x.ndjson"],
)
def test_nothing_is_fetched_or_unpacked(value: str) -> None:
    message = refusal(value)
    assert repr(value) in message
    assert "fetch and unpack it yourself" in message
    refusal(Path(value))


def test_bytes_that_are_not_utf8(make: Make) -> None:
    file = make()
    file.write_bytes(b"names: [\xff]")
    assert refusal(file).startswith(f"{file}: data: is not valid YAML")


def test_a_download_field_is_mentioned_and_not_run(make: Make, tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    script = f"download: |\n  open({str(proof)!r}, 'w')\n"
    message = refusal(make("train: gone\nval: images/val\nnames: [a]\n" + script))
    assert "download field is never executed" in message
    assert "download" in refusal(make(SPLITS + "path: gone\nnames: [a]\n" + script))
    check_dataset(make(SPLITS + "names: [a]\n" + script))
    assert not proof.exists()


def test_images_without_labels(make: Make) -> None:
    file = make()
    shutil.rmtree(file.parent / "labels" / "val")
    expected = file.parent / "labels" / "val" / "0.txt"
    assert f"1 images and no label; expected for example '{expected}'" in refusal(file)


def test_one_label_is_enough(make: Make) -> None:
    file = make()
    for index in range(20):
        (file.parent / "images" / "train" / f"more{index}.JPG").touch()
    assert check_dataset(file).train_images == 21


def test_relative_path_beside_the_yaml(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    file = make("path: ../set\n" + SPLITS + "names: [a]")
    assert check_dataset(file).root == file.parent
    monkeypatch.chdir(file.parent)
    moved = file.parent / "conf" / "data.yaml"
    moved.parent.mkdir()
    moved.write_text("path: images\ntrain: train\nval: val\nnames: [a]")
    assert check_dataset("conf/data.yaml").root == file.parent / "images"


def test_entries_as_ultralytics_takes_them(make: Make) -> None:
    roboflow = make("train: ../images/train\nvalidation: images/val\nnames: [a]")
    assert check_dataset(roboflow).train_images == 1
    both = make("train: [images/train, images/val]\nval: images/val\nnames: [a]")
    assert check_dataset(both).train_images == 2
    (both.parent / "images" / "train" / ".hidden.png").touch()
    deep = both.parent / "images" / "train" / "deep"
    deep.mkdir()
    (deep / "1.png").touch()
    assert check_dataset(both).train_images == 3


def test_text_lists(make: Make) -> None:
    file = make("train: train.txt\nval: images/val\nnames: [a]")
    listing = file.parent / "train.txt"
    absolute = file.parent / "images" / "val" / "0.png"
    listing.write_text(f"\ufeff./images/train/0.png\n{absolute}\n", encoding="utf-8")
    assert check_dataset(file).train_images == 2
    listing.write_text("images/train/0.png\n")
    message = refusal(file)
    assert "lists 'images/train/0.png', which does not exist" in message
    assert "start with './'" in message
    listing.write_text("\n")
    assert "holds no image" in refusal(file)
    listing.write_bytes(b"\xff.png")
    assert "cannot be read as UTF-8" in refusal(file)


def test_many_images_are_counted_quickly(make: Make) -> None:
    file = make()
    folder = file.parent / "images" / "train"
    for index in range(5000):
        os.link(folder / "0.png", folder / f"{index:05d}.png")
    start = time.perf_counter()
    assert check_dataset(file).train_images == 5001
    assert time.perf_counter() - start < 1.0

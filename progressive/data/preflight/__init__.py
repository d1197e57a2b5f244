"""Look at every image's header and at every label before training.

Ultralytics leaves out what it cannot use, with a line in a long log, and stops with a traceback
when nothing is left. Here all of it is counted first, and too much of it is one line.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

from progressive.data.classification import VAL_FOLDERS
from progressive.data.detection import DatasetInfo, read_yaml, split_images
from progressive.data.images import label_path, walk_images
from progressive.data.messages import complaint, refuse_unreadable
from progressive.data.preflight.images import SpecialFileError
from progressive.data.preflight.labels import Keypoints, judge_labels
from progressive.data.preflight.splits import inspect, shared_images

#: Of what is kept, and of the rules by which it was found; to be raised with either.
FORMAT = 4

#: Tasks whose labels are rows of numbers.
ROWS = ("detect", "segment", "obb", "pose")

#: Tasks for which Ultralytics wants an outline for every object of a split, and what a row then is.
OUTLINES = {
    "segment": "an outline, 'class x1 y1 x2 y2 x3 y3 ...'",
    "obb": "four corners, 'class x1 y1 x2 y2 x3 y3 x4 y4'",
}


def preflight(
    info: DatasetInfo, task: str, max_bad: float, cache: Path, *, single_class: bool = False
) -> dict[str, Any]:
    """Check a data set as a whole.

    Args:
        info: what is known of it.
        task: that it is for.
        max_bad: share of the images of a split, from 0 to 1, that may be left out.
        cache: folder in which the result is kept for as long as no file changes.
        single_class: whether all classes are trained as one, so that any number is right.

    Returns:
        For `train` and `val` the counts and examples of images that training leaves out, and
        `shared`, pairs of images of both with the same content.

    Raises:
        DatasetError: more cannot be used than may be left out; names the most frequent problem.
            Or the task wants outlines, and some label file has boxes.
    """
    with refuse_unreadable(info.source):
        splits = _images(info, task)
        names = [*splits["train"], *splits["val"]]
        labels = [label_path(name) for name in names] if task in ROWS else []
        keypoints = _keypoints(info, task)
        classes = sys.maxsize if single_class else len(info.names)
        judged_by = f"{FORMAT} {task} {classes} {keypoints}"
        kept = cache / f"{_key([*names, *labels], judged_by)}.json"
        found = _read(kept)
        if found is None:
            found = _inspect(info, task, splits, keypoints, classes)
            _write(kept, found)
    for name in ("train", "val"):
        _refuse_too_many(info.source, name, found[name], max_bad)
        if task in OUTLINES:
            _refuse_boxes(info.source, name, found[name], task)
    return found


def sentences(found: Mapping[str, Any]) -> list[str]:
    """Say what is left out and what is shared, a sentence each; nothing for clean data."""
    said = [
        f"{found[name]['left_out']} of {found[name]['images']} {name} images are left out: "
        f"{_said(found[name])}."
        for name in ("train", "val")
        if found[name]["left_out"]
    ]
    if shared := found["shared"]:
        pair = " and ".join(os.path.basename(path) for path in shared["examples"][0])  # noqa: PTH119
        said.append(
            f"{shared['images']} val images are in train as well, as {pair}: scores on them say "
            "nothing of new images."
        )
    return said


def _images(info: DatasetInfo, task: str) -> dict[str, list[str]]:
    if task == "classify":
        folders = [folder for folder in sorted(info.source.iterdir()) if folder.is_dir()]
        train = [folder for folder in folders if folder.name == "train"]
        val = [f for name in VAL_FOLDERS for f in folders if f.name == name]
        return {
            "train": [image for folder in train for image in walk_images(folder)],
            "val": [image for folder in val[:1] for image in walk_images(folder)],
        }
    data = read_yaml(info.source)
    return {name: split_images(info.source, data, info.root, name) for name in ("train", "val")}


def _keypoints(info: DatasetInfo, task: str) -> Keypoints | None:
    if task in ROWS and (shape := read_yaml(info.source).get("kpt_shape")):
        return int(shape[0]), int(shape[1])
    return None


def _inspect(
    info: DatasetInfo,
    task: str,
    splits: Mapping[str, list[str]],
    keypoints: Keypoints | None,
    classes: int,
) -> dict[str, Any]:
    judge = partial(judge_labels, keypoints=keypoints, pose=task == "pose")
    try:
        found = {
            name: inspect(images, classes, judge if task in ROWS else None)
            for name, images in splits.items()
        }
    except SpecialFileError as error:
        problem = f"'{error}' is a pipe or a device, no image; remove it"
        raise complaint(info.source, "data", problem) from None
    pairs = shared_images(splits["train"], splits["val"])
    examples = {"images": len(pairs), "examples": [list(pair) for pair in pairs[:3]]}
    return {**found, "shared": examples if pairs else None}


def _refuse_too_many(file: Path, name: str, split: Mapping[str, Any], max_bad: float) -> None:
    bad, images = split["left_out"], split["images"]
    if bad > max_bad * images or (bad and bad == images):
        problem = f"{bad} of {images} images cannot be used, more than max_bad={max_bad:g}"
        raise complaint(file, name, f"{problem}: {_said(split)}")


def _refuse_boxes(file: Path, name: str, split: Mapping[str, Any], task: str) -> None:
    """Refuse what Ultralytics does: a single object that is no outline, in images that it uses."""
    if boxes := split["boxes"]["images"]:
        example = label_path(split["boxes"]["examples"][0])
        problem = f"{boxes} of {split['images']} images have boxes as labels, as {example}"
        wanted = f"to {task}, every row must be {OUTLINES[task]}; for boxes take a detection model"
        raise complaint(file, name, f"{problem}: {wanted}")


def _said(split: Mapping[str, Any]) -> str:
    """Name every problem with its number and an example, the most frequent first."""
    ordered = sorted(split["problems"].items(), key=lambda item: (-item[1]["images"], item[0]))
    return "; ".join(
        f"{found['images']} with {problem} (as {os.path.basename(found['examples'][0])})"  # noqa: PTH119
        for problem, found in ordered
    )


def _key(paths: Iterable[str], judged_by: str) -> str:
    """Return what changes whenever a file is added, removed or written, or judged otherwise."""
    total = blake2b(judged_by.encode(), digest_size=16)
    for path in paths:
        try:
            found = os.stat(path)  # noqa: PTH116 - of strings, for many
            size, changed = found.st_size, found.st_mtime_ns
        except OSError:
            size = changed = -1
        total.update(f"{path}\0{size}\0{changed}\0".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def _read(file: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and {"train", "val", "shared"} <= set(found) else None


def _write(file: Path, found: Mapping[str, Any]) -> None:
    with suppress(OSError):  # a cache that cannot be written costs the next run a second
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f"{file.name}.{os.getpid()}")
        beside.write_text(json.dumps(found), "utf-8")
        beside.replace(file)

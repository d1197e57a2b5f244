"""Check a user's detection data set before anything heavy is imported.

Every error is one line that names the file, the field, the value and what would be right. A data
yaml is not trusted: it is read with the safe loader of PyYAML, and its `download` field is never
executed (Ultralytics executes it when images are missing).
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from progressive.data.images import dataset_root, image_paths, label_path, resolve_entry
from progressive.data.messages import complaint, did_you_mean, refuse_unreadable, shown
from progressive.errors import DatasetError, nearest
from progressive.safe_loading.arrays import refuse_hostile_arrays, refuse_hostile_cache

#: Suffixes of archives, which Ultralytics would unpack.
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".xz", ".bz2", ".7z", ".rar", ".ndjson")
YAML_SUFFIXES = (".yaml", ".yml")

#: More are a mistake in the data yaml, and would take minutes to build.
MOST_CLASSES, MOST_CHANNELS = 100_000, 10_000


@dataclass(frozen=True)
class DatasetInfo:
    """A data set that has been checked.

    Attributes:
        source: what Ultralytics takes as `data`, an absolute path: the data yaml, or for classify
            the folder.
        root: folder that the paths of images are relative to, absolute.
        names: class names by class index.
        train_images: number of training images.
        val_images: number of validation images.
        channels: of the images, 3 unless the data yaml says otherwise.
    """

    source: Path
    root: Path
    names: tuple[str, ...]
    train_images: int
    val_images: int
    channels: int = 3


def check_dataset(path: str | Path, task: str = "detect") -> DatasetInfo:
    """Check an Ultralytics `data.yaml` and the files it points to.

    A relative `path` in it is looked up in the folder of the yaml first, then in the working
    folder. Ultralytics looks in the working folder only; see `progressive.data.pin`. Nothing is
    written or downloaded.

    Args:
        path: of the yaml.
        task: that it is for: detect, segment, pose, obb or semantic.

    Raises:
        DatasetError: something would stop the training, or make it download or execute something.
    """
    with refuse_unreadable(path):
        file = _yaml_file(path)
        data = read_yaml(file)
        names = _names(file, data)
        channels = _channels(file, data.get("channels", 3))
        root = dataset_root(file, data)
        if task == "pose":
            _check_keypoints(file, data.get("kpt_shape"), data.get("flip_idx", []))
        labels = _labels(data, task, root)
        train, val = (_count_split(file, data, root, field, labels) for field in ("train", "val"))
        test: list[str] = []
        with suppress(DatasetError):  # it may be missing, unless train.split chooses it
            test = split_images(file, data, root, "test")
        _refuse_code(test, labels)
        return DatasetInfo(file, root, names, train, val, channels)


def refuse_remote(value: str) -> None:
    """Refuse a data set that would have to be downloaded or unpacked.

    Raises:
        DatasetError: `value` is a URL, an `ul://` name or an archive.
    """
    # At least two letters before the colon, because one letter is a Windows drive. Only one slash,
    # because `Path` turns two slashes into one.
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+:/", value):
        problem = f"{shown(value)} is remote and nothing is downloaded"
    elif value.lower().endswith(ARCHIVES):
        problem = f"{shown(value)} is an archive and nothing is unpacked"
    else:
        return
    raise DatasetError(f"data: {problem}; fetch and unpack it yourself, then give its path")


def read_yaml(file: Path) -> dict[str, Any]:
    """Return the mapping in a yaml file.

    Raises:
        DatasetError: the file cannot be read, is not YAML, or contains no mapping.
    """
    try:
        # Always UTF-8, as in Ultralytics, so that both read the same content.
        data = _OnceLoader(file.read_text("utf-8-sig")).get_single_data()
    except OSError as error:
        raise complaint(file, "data", f"cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # A ValueError comes from bytes that are not UTF-8, or from a date such as 2024-99-99.
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error) or type(error).__name__
        raise complaint(file, "data", f"is not valid YAML{where}: {reason}") from error
    if not isinstance(data, dict):
        raise complaint(
            file, "data", f"must be a mapping with train, val and names, not {_kind(data)}"
        )
    return data


class _OnceLoader(yaml.SafeLoader):
    """Refuses a key that a mapping has twice, of which YAML would silently keep the last."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            text = str(getattr(key, "value", key))
            if text in seen:
                problem = f"{shown(text)} is given twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(text)
        return node


def _yaml_file(path: str | Path) -> Path:
    """Return the absolute path of the yaml, or raise DatasetError for what is there instead."""
    refuse_remote(str(path))
    file = Path(path).expanduser().absolute()
    if file.is_dir():
        inside = next((p for s in YAML_SUFFIXES for p in sorted(file.glob(f"*{s}"))), None)
        hint = (
            f"; did you mean '{inside}'?"
            if inside
            else "; give the data.yaml of the data set (or task=classify)"
        )
        raise complaint(file, "data", f"is a folder{hint}")
    if not file.exists():
        hint = did_you_mean(file) or "; give the path of a data.yaml"
        raise complaint(file, "data", f"does not exist{hint}")
    if file.suffix not in YAML_SUFFIXES:
        raise complaint(file, "data", f"must end in .yaml or .yml, not {file.suffix!r}")
    return file


def _names(file: Path, data: dict[str, Any]) -> tuple[str, ...]:
    """Return the class names. With `nc` alone they are `class_0`, `class_1` and so on."""
    names, count = data.get("names"), data.get("nc")
    if count is not None:
        count = _class_count(file, count)
    if names is None:
        if count is None:
            problem = f"missing; list the class names{_misspelt(data, 'names')}"
            raise complaint(file, "names", problem)
        return tuple(f"class_{index}" for index in range(count))
    listed = _name_list(file, names)
    if count is not None and count != len(listed):
        raise complaint(file, "nc", f"{count} but names lists {len(listed)} classes; remove nc")
    return listed


def _channels(file: Path, value: object) -> int:
    """Return `channels`, which Ultralytics takes as it is."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_CHANNELS:
        problem = f"{shown(value)} must be a whole number from 1 to {MOST_CHANNELS}"
        raise complaint(file, "channels", problem)
    return value


def _class_count(file: Path, value: object) -> int:
    """Return `nc` as an integer. As in Ultralytics, '10' and 10.0 are accepted too."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        number = float(value)
        if number != int(number) or not 1 <= number <= MOST_CLASSES:
            raise ValueError
    except (ValueError, OverflowError):
        problem = f"{shown(value)} must be a whole number from 1 to {MOST_CLASSES}"
        raise complaint(file, "nc", problem) from None
    return int(number)


def _name_list(file: Path, names: object) -> tuple[str, ...]:
    """Return class names that are given as a list, or as a mapping from 0, 1, ... to names."""
    if isinstance(names, dict):
        try:
            numbers = [int(index) for index in names]
            if any(number != float(index) for number, index in zip(numbers, names, strict=True)):
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            problem = f"{shown(list(names))} as keys; must be the class indices 0, 1, 2, ..."
            raise complaint(file, "names", problem) from None
        if len(set(numbers)) < len(numbers):
            raise complaint(file, "names", f"has an index twice: {shown(sorted(numbers))}")
        names = dict(zip(numbers, names.values(), strict=True))
        if sorted(names) != list(range(len(names))):
            last = len(names) - 1
            problem = f"has the indices {shown(sorted(names))}; must be 0 to {last} without gaps"
            raise complaint(file, "names", problem)
        names = [names[index] for index in range(len(names))]
    if not isinstance(names, list):
        raise complaint(file, "names", f"must be a list or a mapping, not {_kind(names)}")
    if not names:
        raise complaint(file, "names", "is empty; name at least one class")
    for index, name in enumerate(names):
        if name is None or isinstance(name, list | dict):
            raise complaint(file, f"names[{index}]", f"{shown(name)} must be a name")
    return tuple(str(name) for name in names)


def _check_keypoints(file: Path, shape: object, flipped: object) -> None:
    """Check the number of keypoints, and which of them each is in a mirrored image."""
    right = isinstance(shape, list) and len(shape) == 2 and all(type(n) is int for n in shape)
    if not right or shape[0] < 1 or shape[1] not in (2, 3):  # type: ignore[index]
        problem = f"{shown(shape)} must be [keypoints, 2 or 3] for task=pose"
        raise complaint(file, "kpt_shape", problem)
    count = shape[0]  # type: ignore[index]
    whole = isinstance(flipped, list) and all(type(index) is int for index in flipped)
    if flipped != [] and not (whole and sorted(flipped) == list(range(count))):  # type: ignore[call-overload]
        problem = (
            f"{shown(flipped)} must name each of the {count} keypoints of kpt_shape once, as "
            f"{shown(list(range(count)))} where a mirrored image changes none; or leave it out"
        )
        raise complaint(file, "flip_idx", problem)


def _count_split(
    file: Path, data: dict[str, Any], root: Path, field: str, labels: tuple[str, str]
) -> int:
    """Return the number of images of a split, after checking that at least one has labels."""
    images = split_images(file, data, root, field)
    # Stops at the first label found, so a large data set takes no longer than a small one.
    if not any(Path(label_path(image, *labels)).is_file() for image in images):
        kind = "mask" if labels[1] == ".png" else "label"
        problem = (
            f"{shown(_entry(data, field))} has {len(images)} images and no {kind}; "
            f"expected for example '{label_path(images[0], *labels)}'"
        )
        raise complaint(file, field, problem)
    _refuse_code(images, labels)
    return len(images)


def split_images(file: Path, data: dict[str, Any], root: Path, field: str) -> list[str]:
    """Return the images of a split, `train`, `val` or `test`.

    Raises:
        DatasetError: it is missing, or has no images.
    """
    value = _entry(data, field)
    if value is None:
        problem = f"missing; give a folder of images or a .txt list{_misspelt(data, field)}"
        raise complaint(file, field, problem)
    entries = value if isinstance(value, list) else [value]
    if not entries or not all(isinstance(entry, str) and entry for entry in entries):
        problem = f"{shown(value)} must be a folder of images, a .txt list, or a list of these"
        raise complaint(file, field, problem)
    images: list[str] = []
    for entry in entries:
        images += image_paths(file, data, field, resolve_entry(root, entry))
    return images


def _entry(data: dict[str, Any], field: str) -> Any:
    if field == "val" and "val" not in data:  # Ultralytics accepts this spelling too
        return data.get("validation")
    return data.get(field)


def _labels(data: dict[str, Any], task: str, root: Path) -> tuple[str, str]:
    """Return folder and suffix of the labels: text, or for semantic the masks if there are any."""
    masks = data.get("masks_dir") or ("masks" if (root / "masks").is_dir() else None)
    return (str(masks), ".png") if task == "semantic" and masks else ("labels", ".txt")


def _refuse_code(images: list[str], labels: tuple[str, str]) -> None:
    """Refuse what lies beside images and would be unpickled: label caches and image caches."""
    # Find the folders first: a data set has many images but few folders.
    for folder in sorted({image.rpartition(os.sep)[0] for image in images}):
        place = Path(label_path(f"{folder}{os.sep}any.jpg", *labels)).parent
        refuse_hostile_cache(place.with_suffix(".cache"))
        refuse_hostile_arrays(Path(folder))


def _misspelt(data: dict[str, Any], field: str) -> str:
    """Return ' (did you mean ...?)' if the yaml has a field with a similar name, else ''."""
    keys = [
        key for key in data if isinstance(key, str) and key != field
    ]  # a blank field is no misspelt one
    close = nearest(field, keys)
    return f" (did you mean {field!r} instead of {close!r}?)" if close else ""


def _kind(value: object) -> str:
    """Describe a value of the wrong type in YAML's terms instead of Python's."""
    kinds = {"NoneType": "empty", "dict": "a mapping", "list": "a list"}
    return kinds.get(type(value).__name__, shown(value))

"""Find the images and labels of a data yaml, by the same rules as Ultralytics."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from progressive.data.messages import complaint, did_you_mean, shown
from progressive.errors import DatasetError

#: Suffixes of images. A copy of `ultralytics.data.utils.IMG_FORMATS`, because importing that loads
#: torch; a test compares the two.
IMAGE_FORMATS = frozenset(
    "avif bmp dng heic heif jp2 jpeg jpg mpo png tif tiff webp".split()  # noqa: SIM905
)

#: How many images of a .txt list are checked for existence, spread evenly over the list.
LISTED_LOOKED_AT = 64


def dataset_root(file: Path, data: dict[str, Any]) -> Path:
    """Return the folder that `train` and `val` are relative to, absolute.

    Without `path` it is the folder of the yaml. A relative `path` is looked up in that folder
    first, then in the working folder.

    Args:
        file: the data yaml.
        data: its content.

    Raises:
        DatasetError: `path` is not text, or there is no such folder.
    """
    value = data.get("path")
    if value is None or value == "":
        return file.parent
    if not isinstance(value, str):
        raise complaint(file, "path", f"{shown(value)} must be the folder of the data set, as text")
    beside = file.parent / value
    for folder in (beside, Path(value).absolute()):
        if folder.is_dir():
            return folder.resolve()
    raise complaint(file, "path", f"{shown(value)} is not a folder{_missing_hint(data, beside)}")


def resolve_entry(root: Path, entry: str) -> Path:
    """Return the absolute path of one entry of `train` or `val`. It may not exist."""
    found = (root / entry).resolve()
    # Roboflow exports '../train/images' but means 'train/images'; Ultralytics accepts it too.
    if not found.exists() and entry.startswith("../"):
        return (root / entry[3:]).resolve()
    return found


def image_paths(file: Path, data: dict[str, Any], field: str, source: Path) -> list[str]:
    """Return the images in a folder, at any depth, or in a .txt list.

    Args:
        file: the data yaml, for messages.
        data: its content, for messages.
        field: 'train' or 'val', for messages.
        source: absolute path of the folder or list.

    Raises:
        DatasetError: `source` does not exist, is neither a folder nor a .txt list, contains no
            image, or lists images that do not exist.
    """
    if source.is_dir():
        images = list(walk_images(source))
    elif source.suffix.lower() == ".txt" and source.is_file():
        images = _listed(file, field, source)
    elif source.exists():
        raise complaint(file, field, f"'{source}' must be a folder of images or a .txt list")
    else:
        hint = _missing_hint(data, source)
        raise complaint(file, field, f"'{source}' does not exist{hint}")
    if not images:
        formats = ", ".join(sorted(IMAGE_FORMATS))
        raise complaint(file, field, f"'{source}' holds no image; must hold some of {formats}")
    return images


def label_path(image: str, folder: str = "labels", suffix: str = ".txt") -> str:
    """Return the path where Ultralytics looks for the labels of an image.

    The last folder named 'images' is replaced by `folder`, and the suffix by `suffix`.
    """
    swapped = f"{os.sep}{folder}{os.sep}".join(image.rsplit(f"{os.sep}images{os.sep}", 1))
    return f"{swapped.rsplit('.', 1)[0]}{suffix}"


def _is_image(name: str) -> bool:
    return "." in name and name.rpartition(".")[-1].lower() in IMAGE_FORMATS


def walk_images(folder: Path) -> Iterator[str]:
    """Yield the paths of all images in a folder, at any depth.

    As in a glob, links are followed and hidden names are skipped.

    Raises:
        DatasetError: a link leads to a folder that it lies in. Ultralytics would follow it some
            40 times over, and count every image as often.
    """
    for here, folders, files in os.walk(folder, followlinks=True):
        real, parent = (os.path.realpath(place) for place in (here, os.path.dirname(here)))  # noqa: PTH120
        if here != str(folder) and f"{parent}{os.sep}".startswith(f"{real}{os.sep}"):
            raise DatasetError(f"{here}: is a link to a folder that it lies in; remove the link")
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (
            f"{here}{os.sep}{name}"
            for name in files
            if _is_image(name) and not name.startswith(".")
        )


def _listed(file: Path, field: str, source: Path) -> list[str]:
    """Return the images in a .txt list. A leading './' stands for the folder of the list."""
    try:
        lines = source.read_text("utf-8-sig").strip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise complaint(file, field, f"'{source}' cannot be read as UTF-8 text: {error}") from error
    parent = f"{source.parent}{os.sep}"
    paths = [line.replace("./", parent, 1) if line.startswith("./") else line for line in lines]
    images = [path.replace("/", os.sep) for path in paths if _is_image(path)]
    for image in images[:: max(len(images) // LISTED_LOOKED_AT, 1)]:
        if not Path(image).is_file():
            problem = (
                f"'{source}' lists {shown(image)}, which does not exist; "
                "paths in a list are absolute or start with './', the folder of the list"
            )
            raise complaint(file, field, problem)
    return images


def _missing_hint(data: dict[str, Any], missing: Path) -> str:
    """Return what to write after a message about a missing path: a similar name, `download`."""
    hint = did_you_mean(missing)
    if data.get("download"):
        hint += (
            "; the yaml's download field is never executed here: "
            "fetch the data yourself and give its folder"
        )
    return hint

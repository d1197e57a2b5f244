"""What is wrong with an image file, from its header and its last bytes."""

from __future__ import annotations

import os
import stat
import warnings
from pathlib import Path

#: Smallest side that Ultralytics takes, in pixels.
SMALLEST = 10

#: Pixels above which an image is refused: twice what Pillow warns of, 179 million.
LARGEST = 2 * (1024 * 1024 * 1024 // 4 // 3)

#: Formats that Pillow reads with a plugin, if at all.
PLUGINS = (".avif", ".dng", ".heic", ".heif", ".jp2")

#: How files of a format end. A JPEG without its end is written anew by Ultralytics, so it may be.
ENDS = {"PNG": b"IEND\xaeB`\x82"}


class SpecialFileError(Exception):
    """What has an image's name is a pipe or a device: opening it may wait for ever."""


def image_problem(path: str) -> str | None:
    """Say in a few words why an image cannot be used; None if nothing is known against it.

    Pixels are not decoded.

    Raises:
        SpecialFileError: it is no file at all.
    """
    try:
        found = Path(path).stat()
    except OSError as error:
        return f"no access ({error.strerror})"
    if not stat.S_ISREG(found.st_mode):
        raise SpecialFileError(path)
    if not found.st_size:
        return "an empty file"
    return _header_problem(path)


def _header_problem(path: str) -> str | None:
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of many pixels, which are counted below
            with Image.open(path) as image:
                kind, (width, height) = image.format, image.size
    except (UnidentifiedImageError, ImportError):  # of the plugin that Ultralytics then looks for
        return None if path.lower().endswith(PLUGINS) else "no image in the file"
    except Image.DecompressionBombError:
        return "too many pixels"
    except (OSError, ValueError, SyntaxError, EOFError):
        return "a header that cannot be read"
    if width * height > LARGEST:
        return "too many pixels"
    if min(width, height) < SMALLEST:
        return f"a side below {SMALLEST} pixels"
    end = ENDS.get(kind or "")
    return "its end cut off" if end and not _ends_with(path, end) else None


def _ends_with(path: str, end: bytes) -> bool:
    with Path(path).open("rb") as file:
        file.seek(-min(len(end), Path(path).stat().st_size), os.SEEK_END)
        return file.read() == end

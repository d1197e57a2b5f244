"""What is wrong with an image file, from its header and its last bytes."""

from __future__ import annotations

import io
import os
import stat
import struct
import warnings
from pathlib import Path
from typing import Any

#: Smallest side that Ultralytics takes, in pixels.
SMALLEST = 10

#: Pixels above which an image is refused: twice what Pillow warns of, 179 million.
LARGEST = 2 * (1024 * 1024 * 1024 // 4 // 3)

#: Formats that Pillow reads with a plugin, if at all.
PLUGINS = (".avif", ".dng", ".heic", ".heif", ".jp2")

#: What Pillow calls the formats that Ultralytics takes, whatever the name of the file.
FORMATS = {
    *("AVIF", "BMP", "DNG", "HEIC", "HEIF", "JP2", "JPEG", "JPEG2000", "JPG", "MPO", "PNG"),
    *("TIF", "TIFF", "WEBP"),
}

#: TIFF's tag for the bits of a sample.
BITS = 258

#: TIFF's tags for where the pixels are, in strips or tiles, and how many bytes they take.
PIXELS = ((273, 279), (324, 325))

#: Last bytes of a PNG, kind and checksum of an empty chunk, and of a JPEG.
PNG_END, JPEG_END = b"IEND\xaeB`\x82", b"\xff\xd9"


class SpecialFileError(Exception):
    """What has an image's name is a pipe or a device: opening it may wait for ever."""


def image_problem(path: str) -> str | None:
    """Say in a few words why an image cannot be used; None if nothing is known against it.

    Pixels are not decoded, but as `content_problem` says.

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
                width, height = image.size
                if width * height > LARGEST:
                    return "too many pixels"
                if min(width, height) < SMALLEST:
                    return f"a side below {SMALLEST} pixels"
                return content_problem(path, image)
    except (UnidentifiedImageError, ImportError):  # of the plugin that Ultralytics then looks for
        return None if path.lower().endswith(PLUGINS) else "no image in the file"
    except Image.DecompressionBombError:
        return "too many pixels"
    except (OSError, TypeError, ValueError, SyntaxError, EOFError):
        return "a header that cannot be read"


def content_problem(path: str, image: Any) -> str | None:
    """Say in a few words why an image whose header is good cannot be decoded; None if it can be.

    Pixels are decoded only of AVIF, and of a JPEG whose last bytes are not its end, such as a
    photograph with something behind it, or half of one.

    Args:
        path: of the file.
        image: the same, opened by Pillow.
    """
    kind = image.format.upper()
    if kind not in FORMATS:
        return f"{kind} in the file, which Ultralytics does not take"
    if kind == "TIFF" and image.mode in {"F", "I"} and max(image.tag_v2.get(BITS, (1,))) > 16:
        return "pixels of 32 bits, which OpenCV does not read; at most 16 will do"
    wholes = {"PNG": _is_whole_png, "JPEG": _is_whole_jpeg, "JPEG2000": _is_whole_jpeg}
    whole = {**wholes, "AVIF": _can_be_decoded}.get(kind, lambda path: _has_all_pixels(path, image))
    return None if whole(path) else "its end cut off"


def _is_whole_png(path: str) -> bool:
    """Tell whether the last chunk is there, at the end of the file or before other bytes."""
    if _last_bytes(path, len(PNG_END)) == PNG_END:
        return True
    with Path(path).open("rb") as file:
        file.seek(8)  # behind the signature
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == PNG_END[:4]:
                return file.read(4) == PNG_END[4:]
            file.seek(length + 4, os.SEEK_CUR)
    return False


def _is_whole_jpeg(path: str) -> bool:
    """Tell whether a JPEG ends as one should, or else can be decoded, as Ultralytics asks."""
    return _last_bytes(path, len(JPEG_END)) == JPEG_END or _can_be_decoded(path)


def _has_all_pixels(path: str, image: Any) -> bool:
    """Tell whether the file reaches as far as its header says; True where that says nothing."""
    needed = 0
    if image.format == "TIFF":
        parts = ([image.tag_v2.get(tag, ()) for tag in pair] for pair in PIXELS)
        needed = max((sum(end) for part in parts for end in zip(*part, strict=False)), default=0)
    elif image.format == "BMP" and image.tile and image.tile[0][0] == "raw":
        _, _, start, (_, bytes_per_row, _) = image.tile[0]
        needed = start + bytes_per_row * image.size[1]
    return Path(path).stat().st_size >= needed


def _can_be_decoded(path: str) -> bool:
    import cv2
    import numpy as np
    from PIL import Image

    content = Path(path).read_bytes()
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) is not None
    except (OSError, ValueError, SyntaxError, EOFError, cv2.error):
        return False


def _last_bytes(path: str, count: int) -> bytes:
    with Path(path).open("rb") as file:
        file.seek(-min(count, os.fstat(file.fileno()).st_size), os.SEEK_END)
        return file.read()

"""Decode a JPEG at the scale that is needed: whole, a half, a quarter or an eighth.

libjpeg can leave out the frequencies for which a smaller image has no pixels. What is left to pay
is mostly the entropy decoding, which no reader of a JPEG gets around.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int]

#: OpenCV's flag to decode at one over the key, by the flag to decode in full.
REDUCED = {
    cv2.IMREAD_COLOR: {
        8: cv2.IMREAD_REDUCED_COLOR_8,
        4: cv2.IMREAD_REDUCED_COLOR_4,
        2: cv2.IMREAD_REDUCED_COLOR_2,
    },
    cv2.IMREAD_GRAYSCALE: {
        8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
        4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
        2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    },
}


class JpegHeader(NamedTuple):
    """What the frame header of a JPEG says, and whether there is Exif data.

    Height and width are those of the stored pixels, before an Exif orientation turns them.
    """

    height: int
    width: int
    channels: int
    exif: bool


def read_image(
    data: NDArray[np.uint8], target: Callable[[Size], Size], flags: int = cv2.IMREAD_COLOR
) -> tuple[NDArray[Any], Size] | None:
    """Decode an image file and resize it, in no more detail than its new size can show.

    Without a reduction, and so for anything but grey and colour JPEGs of 8 bits, the result equals
    what Ultralytics loads: decode in full, turn upright as Exif says, resize bilinearly. With one
    it stays close to a full decode averaged over areas, which bilinear resizing alone does not.

    Args:
        data: content of the file.
        target: maps (height, width) of the whole image to the size wanted; called with a size and
            with its transpose, it must return a size and its transpose.
        flags: cv2.IMREAD_COLOR, cv2.IMREAD_GRAYSCALE or cv2.IMREAD_UNCHANGED.

    Returns:
        The image (H, W, C), uint8 and BGR or grey, and (height, width) of the whole one; None if
        OpenCV cannot decode it.
    """
    return _read_reduced(data, target, flags) or _read_full(data, target, flags)


def jpeg_header(data: NDArray[np.uint8]) -> JpegHeader | None:
    """Read the header of a Huffman-coded JPEG of 8 bits; None if `data` is anything else.

    A walk over the markers up to the frame header (ITU-T T.81, B.1 and B.2.2). Pillow could tell
    the size too, in eight times the time.
    """
    view, exif, position = data.data, False, 2
    if view[:2] != b"\xff\xd8":
        return None
    while position + 10 <= len(view):
        start, marker, length = struct.unpack_from(">BBH", view, position)
        if start != 0xFF:
            return None
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker in {0xC0, 0xC1, 0xC2}:
            bits, height, width, channels = struct.unpack_from(">BHHB", view, position + 4)
            return JpegHeader(height, width, channels, exif) if bits == 8 else None
        if marker == 0xE1 and view[position + 4 : position + 8] == b"Exif":
            exif = True
        position += 2 + length
    return None


def reduction(header: JpegHeader, target: Size) -> int:
    """Return the largest of 8, 4, 2 and 1 by which a JPEG still has `target` (height, width).

    Where the side of an image is no multiple of the reduction, its last pixel stands for fewer of
    the original ones. An Exif orientation may move that pixel to the other end, where it would
    shift the image; no such reduction is used then.
    """
    for divisor in (8, 4, 2):
        height, width = _reduced_size(header, divisor)
        whole = header.height % divisor == header.width % divisor == 0
        if height >= target[0] and width >= target[1] and (whole or not header.exif):
            return divisor
    return 1


def _reduced_size(header: JpegHeader, divisor: int) -> Size:
    return -(-header.height // divisor), -(-header.width // divisor)


def _read_reduced(
    data: NDArray[np.uint8], target: Callable[[Size], Size], flags: int
) -> tuple[NDArray[Any], Size] | None:
    """Decode at reduced scale, or return None where that is impossible."""
    header = jpeg_header(data) if flags in REDUCED else None
    if header is None or header.channels not in {1, 3} or not header.height * header.width:
        return None
    original = (header.height, header.width)
    divisor = reduction(header, target(original))
    image = cv2.imdecode(data, REDUCED[flags][divisor]) if divisor > 1 else None
    if image is None:
        return None
    expected = _reduced_size(header, divisor)
    if image.shape[:2] == expected[::-1] != expected:  # turned by its Exif orientation
        original = original[::-1]
    elif image.shape[:2] != expected:
        return None
    return _align(image, original, divisor, target(original)), original


def _align(image: NDArray[Any], original: Size, divisor: int, target: Size) -> NDArray[Any]:
    """Resize as a resize of the original would, not of a reduction that was rounded up.

    Given scales rather than a size, OpenCV takes them as they are; the surplus is cut off.
    """
    height, width = target
    vertical, horizontal = height * divisor / original[0], width * divisor / original[1]
    if vertical != 1 or horizontal != 1:
        # A reduction is followed by less than another halving, unless it was by the largest.
        kind = cv2.INTER_LINEAR if max(vertical, horizontal) > 0.5 else cv2.INTER_AREA
        image = cv2.resize(image, None, fx=horizontal, fy=vertical, interpolation=kind)
        image = np.ascontiguousarray(image[:height, :width])
    return image[..., None] if image.ndim == 2 else image


def _read_full(
    data: NDArray[np.uint8], target: Callable[[Size], Size], flags: int
) -> tuple[NDArray[Any], Size] | None:
    """Decode and resize as Ultralytics does."""
    image = cv2.imdecode(data, flags) if data.size else None
    if image is None:
        return None
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    height, width = image.shape[:2]
    wanted = target((height, width))
    if wanted != (height, width):
        image = cv2.resize(image, wanted[::-1], interpolation=cv2.INTER_LINEAR)
    return (image[..., None] if image.ndim == 2 else image), (height, width)

"""Headers of images, good and bad."""

import io
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, features
from ultralytics.data.utils import IMG_FORMATS
from ultralytics.utils.patches import imread

from progressive.data.preflight.images import (
    FORMATS,
    SpecialFileError,
    _has_all_pixels,
    image_problem,
)


def png(path, size):
    Image.new("RGB", size).save(path)
    return path.read_bytes()


def encoded(kind, pixels=None, **options):
    """Return the bytes of an image, of noise if nothing else is given."""
    if pixels is None:
        pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def header_of(width, height):
    """Return a PNG of a few bytes that claims to be of this size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_what_is_said_of_a_file(tmp_path):
    file = tmp_path / "a.png"
    whole = png(file, (32, 16))
    assert image_problem(str(file)) is None
    for content, problem in {
        b"": "an empty file",
        b"no picture": "no image in the file",
        whole[:-6]: "its end cut off",
        whole[:-2]: "its end cut off",
        whole[:-12]: "its end cut off",
        whole[:-12] + bytes(50): "its end cut off",
        whole + b"IEND" + bytes(50): None,
        whole[:20]: "a header that cannot be read",
        header_of(1, 1): "a side below 10 pixels",
        header_of(30_000, 30_000): "too many pixels",
    }.items():
        file.write_bytes(content)
        assert image_problem(str(file)) == problem
    assert image_problem(str(tmp_path / "b.png")) == "no access (No such file or directory)"


def test_a_jpeg_is_good_if_it_ends_as_one_or_can_be_decoded(tmp_path):
    file = tmp_path / "a.jpg"
    whole = encoded("JPEG")
    for content, problem in {
        whole: None,
        whole + bytes(50): None,  # of a telephone, which keeps more there
        whole[: len(whole) // 2]: "its end cut off",
        whole[: len(whole) // 2] + bytes(50): "its end cut off",
    }.items():
        file.write_bytes(content)
        assert image_problem(str(file)) == problem
        assert (imread(file) is None) == (problem is not None)
        assert file.read_bytes() == content


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "JPEG2000", "AVIF", "WEBP"])
def test_every_format_that_is_cut_off_is_named(tmp_path, kind):
    if not features.check("avif") and kind == "AVIF":
        pytest.skip("this Pillow does not read AVIF")
    whole = encoded(kind)
    file = tmp_path / f"a.{kind.lower()}"
    for part, good in ((1.0, True), (0.98, False)):
        file.write_bytes(whole[: int(part * len(whole))])
        # Ultralytics reads with OpenCV and then with Pillow, which leaves a broken AVIF open.
        assert (image_problem(str(file)) is None) == good == (cv2.imread(str(file)) is not None)


@pytest.mark.parametrize("options", [{"compression": "tiff_lzw"}, {"tile_size": (16, 16)}])
def test_a_tiff_says_where_its_pixels_end(tmp_path, options):
    file = tmp_path / "a.tif"
    whole = encoded("TIFF", **options)
    file.write_bytes(whole)
    assert image_problem(str(file)) is None
    with Image.open(file) as image:
        assert _has_all_pixels(str(file), image)
        for places in (273, 324):
            if places in image.tag_v2:
                image.tag_v2[places] = tuple(at + len(whole) for at in image.tag_v2[places])
        assert not _has_all_pixels(str(file), image)


def test_what_the_file_holds_counts_not_its_name(tmp_path):
    assert {kind.lower() for kind in FORMATS} == IMG_FORMATS | {"jpeg2000"}
    file = tmp_path / "a.jpg"
    for kind in ("GIF", "PPM", "TGA"):
        file.write_bytes(encoded(kind))
        said = f"{kind} in the file, which Ultralytics does not take"
        assert image_problem(str(file)) == said
    for kind in ("PNG", "BMP", "WEBP", "TIFF"):
        file.write_bytes(encoded(kind))
        assert image_problem(str(file)) is None


@pytest.mark.parametrize("kind", ["float32", "int32", "uint16", "uint8", "bool"])
def test_a_tiff_has_at_most_16_bits_a_pixel(tmp_path, kind):
    file = tmp_path / "a.tif"
    file.write_bytes(encoded("TIFF", np.arange(1024).reshape(32, 32).astype(kind)))
    refused = image_problem(str(file)) is not None
    assert refused == (imread(file) is None) == (kind in {"float32", "int32"})


def test_formats_that_need_a_plugin_are_left_to_ultralytics(tmp_path):
    (tmp_path / "a.heic").write_bytes(b"whatever")
    assert image_problem(str(tmp_path / "a.heic")) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(SpecialFileError):
        image_problem(str(tmp_path / "a.jpg"))

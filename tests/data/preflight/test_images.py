"""Headers of images, good and bad."""

import os
import struct
import zlib

import pytest
from PIL import Image

from progressive.data.preflight.images import SpecialFileError, image_problem


def png(path, size):
    Image.new("RGB", size).save(path)
    return path.read_bytes()


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
        whole[:20]: "a header that cannot be read",
        header_of(1, 1): "a side below 10 pixels",
        header_of(30_000, 30_000): "too many pixels",
    }.items():
        file.write_bytes(content)
        assert image_problem(str(file)) == problem
    assert image_problem(str(tmp_path / "b.png")) == "no access (No such file or directory)"


def test_formats_that_need_a_plugin_are_left_to_ultralytics(tmp_path):
    (tmp_path / "a.heic").write_bytes(b"whatever")
    assert image_problem(str(tmp_path / "a.heic")) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(SpecialFileError):
        image_problem(str(tmp_path / "a.jpg"))

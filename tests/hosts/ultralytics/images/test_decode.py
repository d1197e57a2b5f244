"""Decoding at reduced scale gives the same picture, for less."""

from __future__ import annotations

import io
import time
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from progressive.hosts.ultralytics.images.decode import (
    JpegHeader,
    jpeg_header,
    read_image,
    reduction,
)

ORIENTATION = 0x0112  # the Exif tag


def photographs():
    """Real photographs in packages that are installed anyway, by name."""
    places = {
        "china": ("sklearn", "datasets/images/china.jpg"),
        "flower": ("sklearn", "datasets/images/flower.jpg"),
        "bus": ("ultralytics", "assets/bus.jpg"),
        "zidane": ("ultralytics", "assets/zidane.jpg"),
        "grace": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    }
    return {
        name: cv2.imread(str(Path(find_spec(package).origin).parent / path))
        for name, (package, path) in places.items()
    }


PHOTOGRAPHS = photographs()


def encode(image, suffix=".jpg"):
    return cv2.imencode(suffix, image, [cv2.IMWRITE_JPEG_QUALITY, 92] if suffix == ".jpg" else [])[
        1
    ].ravel()


def enlarged(name, side):
    image = PHOTOGRAPHS[name]
    scale = side / max(image.shape[:2])
    return encode(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC))


def longest(side):
    """The longer side becomes `side`, as in Ultralytics."""

    def target(size):
        return tuple(min(int(np.ceil(s * side / max(size))), side) for s in size)

    return target


def full(data, side, kind=cv2.INTER_LINEAR, flags=cv2.IMREAD_COLOR):
    """Decode everything, then resize."""
    image = cv2.imdecode(data, flags)
    height, width = longest(side)(image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=kind)


def difference(image, other):
    return np.abs(image.astype(int) - other).mean()


def pillow(image, **options):
    stream = io.BytesIO()
    image.save(stream, **{"format": "JPEG", "quality": 92, **options})
    return np.frombuffer(stream.getvalue(), np.uint8)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize("side", [1920, 2003, 2561, 3000, 4032, 5999])
def test_no_visible_change_to_large_photographs(name, side):
    data = enlarged(name, side)
    image, original = read_image(data, longest(640))
    reference = full(data, 640, cv2.INTER_AREA)
    assert image.shape == reference.shape
    assert original == cv2.imdecode(data, cv2.IMREAD_COLOR).shape[:2]
    assert difference(image, reference) < 4


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_no_visible_change_at_small_stages(name):
    # Just above a reduction, as with the bus at 256 px from 270, interpolation costs sharpness and
    # the difference exceeds 4; still Ultralytics' own resize is more than twice as far away.
    data = encode(PHOTOGRAPHS[name])
    for side in range(64, 352, 32):
        image, _ = read_image(data, longest(side))
        area = full(data, side, cv2.INTER_AREA)
        assert difference(image, area) < max(4, difference(full(data, side), area) / 2)


def test_beyond_an_eighth_areas_are_averaged():
    # A bilinear resize by three looks at every third pixel only.
    data = enlarged("china", 4000)
    image, _ = read_image(data, longest(160))
    assert difference(image, full(data, 160, cv2.INTER_AREA)) < 1.5


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(640, 424), (424, 640), (640, 427), (641, 640), (640, 640)])
def test_orientation_is_that_of_a_full_decode(orientation, size):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    picture = Image.fromarray(cv2.resize(PHOTOGRAPHS["china"][..., ::-1], size))
    data = pillow(picture, exif=exif)
    whole = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert whole.shape[:2] == (size if orientation > 4 else size[::-1])
    image, original = read_image(data, longest(160))
    reference = full(data, 160, cv2.INTER_AREA)
    assert original == whole.shape[:2]
    assert image.shape == reference.shape
    reduced = not any(side % 2 for side in size)
    if reduced:
        assert difference(image, reference) < 4
    else:
        # The odd pixel may be at either end: no reduction, and so what Ultralytics loads.
        assert np.array_equal(image, full(data, 160))


def test_grey_is_reduced_into_either_number_of_channels():
    data = pillow(Image.fromarray(PHOTOGRAPHS["zidane"]).convert("L"))
    assert jpeg_header(data).channels == 1
    for flags, channels in ((cv2.IMREAD_COLOR, 3), (cv2.IMREAD_GRAYSCALE, 1)):
        image, original = read_image(data, longest(320), flags)
        reference = full(data, 320, cv2.INTER_AREA, flags).reshape(180, 320, channels)
        assert original == (720, 1280)
        assert image.shape == reference.shape
        assert 0 < difference(image, reference) < 4


def cmyk():
    return pillow(Image.fromarray(PHOTOGRAPHS["zidane"]).convert("CMYK"))


def sixteen_bits():
    return encode(PHOTOGRAPHS["china"].astype(np.uint16) * 257, ".png")


@pytest.mark.parametrize(
    "data",
    [
        cmyk(),
        encode(PHOTOGRAPHS["china"], ".png"),
        encode(PHOTOGRAPHS["china"], ".bmp"),
        encode(PHOTOGRAPHS["china"], ".webp"),
    ],
    ids=["cmyk", "png", "bmp", "webp"],
)
def test_other_files_are_decoded_in_full(data):
    image, _ = read_image(data, longest(160))
    assert np.array_equal(image, full(data, 160))


def test_sixteen_bits_keep_their_high_byte():
    image, _ = read_image(sixteen_bits(), longest(640), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(image, PHOTOGRAPHS["china"])


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}, {"quality": 30}])
def test_kinds_of_jpeg(options):
    data = pillow(Image.fromarray(PHOTOGRAPHS["zidane"]), **options)
    image, original = read_image(data, longest(320))
    assert original == (720, 1280)
    assert 0 < difference(image, full(data, 320, cv2.INTER_AREA)) < 4


@pytest.mark.parametrize("kept", [0, 1, 2, 10, 100, 400, 620, 700, 20_000, 80_000])
def test_truncated_files_fail_where_a_full_decode_fails(kept, capfd):
    data = encode(PHOTOGRAPHS["zidane"])[:kept]
    found = read_image(data, longest(320))
    whole = cv2.imdecode(data, cv2.IMREAD_COLOR) if kept else None
    assert (found is None) == (whole is None)
    if found is not None:
        assert found[1] == whole.shape[:2]
        assert difference(found[0], full(data, 320, cv2.INTER_AREA)) < 4
    capfd.readouterr()  # libjpeg complains


@given(st.binary(max_size=40))
def test_any_bytes_have_a_header_or_none(content):
    data = np.frombuffer(b"\xff\xd8" + content, np.uint8)
    header = jpeg_header(data)
    assert header is None or isinstance(header, JpegHeader)


def test_header_is_found_behind_fill_bytes_and_segments():
    frame = b"\xff\xc0\x00\x11\x08\x01\x02\x03\x04\x03"
    exif = b"\xff\xe1\x00\x08Exif\0\0"
    for data, expected in (
        (b"\xff\xd8" + frame, (258, 772, 3, False)),
        (b"\xff\xd8" + exif + b"\xff\xff" + frame, (258, 772, 3, True)),
        (b"\xff\xd8" + frame.replace(b"\xc0", b"\xc2"), (258, 772, 3, False)),
        (b"\xff\xd8" + frame.replace(b"\x08", b"\x0c"), None),  # 12 bits
        (b"\xff\xd8\xff\xc3" + frame[2:], None),  # lossless
    ):
        assert jpeg_header(np.frombuffer(data, np.uint8)) == expected


@pytest.mark.parametrize(
    ("height", "width", "side", "expected"),
    [
        (480, 640, 320, 2),
        (480, 640, 321, 1),
        (480, 640, 160, 4),
        (480, 640, 80, 8),
        (480, 640, 40, 8),
        (427, 640, 320, 2),
        (719, 1279, 640, 2),
        (719, 1278, 640, 1),
        (1080, 1920, 640, 2),
        (3024, 4032, 640, 4),
    ],
)
def test_reduction(height, width, side, expected):
    header = JpegHeader(height, width, 3, exif=False)
    assert reduction(header, longest(side)((height, width))) == expected


@given(
    st.integers(1, 9000), st.integers(1, 9000), st.integers(1, 2000), st.booleans(), st.booleans()
)
def test_never_below_what_is_needed(height, width, side, exif, stretched):
    header = JpegHeader(height, width, 3, exif)
    target = (side, side) if stretched else longest(side)((height, width))
    divisor = reduction(header, target)
    decoded = -(-height // divisor), -(-width // divisor)
    assert divisor == 1 or (decoded[0] >= target[0] and decoded[1] >= target[1])


@given(st.integers(16, 260), st.integers(16, 260), st.integers(8, 200))
def test_any_size_comes_out_as_wanted(height, width, side):
    image = cv2.resize(PHOTOGRAPHS["grace"], (width, height), interpolation=cv2.INTER_AREA)
    found, original = read_image(encode(image), longest(side))
    assert original == (height, width)
    assert found.shape == (*longest(side)((height, width)), 3)
    assert found.flags.c_contiguous


@pytest.mark.slow
def test_reduced_decoding_is_faster():
    # Lenient: the figures are the benchmark's affair.
    data = [enlarged(name, 4000) for name in ("china", "zidane")]

    def seconds(read):
        times = []
        for _ in range(7):
            start = time.perf_counter()
            for item in data:
                read(item)
            times.append(time.perf_counter() - start)
        return min(times)

    whole = seconds(lambda item: full(item, 640, cv2.INTER_AREA))
    assert seconds(lambda item: read_image(item, longest(640))) < whole / 1.5

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from progressive.augment import photometric


@pytest.fixture(params=["colour", "grey", "one value"])
def image(request: pytest.FixtureRequest, photo: np.ndarray) -> np.ndarray:
    if request.param == "colour":
        # Not the full range, so that autocontrast has something to do.
        return (photo // 2 + 40).astype(np.uint8)
    if request.param == "grey":
        return np.ascontiguousarray(photo[..., 0] // 2 + 40)
    return np.full((9, 7, 3), 77, np.uint8)


def distance(ours: np.ndarray, pil: Image.Image) -> int:
    assert ours.dtype == np.uint8
    assert ours.shape == np.asarray(pil).shape
    return int(np.abs(ours.astype(int) - np.asarray(pil).astype(int)).max())


def test_equalize_and_invert_are_those_of_pil(image):
    pil = Image.fromarray(image)
    assert distance(photometric.equalize(image), ImageOps.equalize(pil)) == 0
    assert distance(photometric.invert(image), ImageOps.invert(pil)) == 0


def test_autocontrast_is_that_of_pil(image):
    pil = ImageOps.autocontrast(Image.fromarray(image))
    assert distance(photometric.autocontrast(image), pil) <= 1


@pytest.mark.parametrize("bits", [1, 2, 4, 7, 8])
def test_posterize_with_whole_bits_is_that_of_pil(image, bits):
    pil = ImageOps.posterize(Image.fromarray(image), bits)
    assert distance(photometric.posterize(image, bits), pil) == 0


def test_posterize_with_a_fraction_of_a_bit_keeps_fewer_values_the_fewer_bits():
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    kept = [len(np.unique(photometric.posterize(ramp, bits))) for bits in (3, 2.6, 2.2, 2)]
    assert kept == [8, 7, 5, 4]


@pytest.mark.parametrize("threshold", [0, 1, 100.2, 128, 255, 256])
def test_solarize_is_that_of_pil(image, threshold):
    pil = ImageOps.solarize(Image.fromarray(image), threshold)
    assert distance(photometric.solarize(image, threshold), pil) == 0


def test_solarize_add_brightens_the_dark_half_only():
    values = np.array([[0, 20, 127, 128, 200, 255]], np.uint8)
    assert photometric.solarize_add(values, 110).tolist() == [[110, 130, 237, 128, 200, 255]]
    assert photometric.solarize_add(values, 275).tolist() == [[255, 255, 255, 128, 200, 255]]


@pytest.mark.parametrize("factor", [0.1, 0.7, 1.0, 1.9, 3.25])
@pytest.mark.parametrize("name", ["Color", "Contrast", "Brightness", "Sharpness"])
def test_enhancements_are_those_of_pil(image, name, factor):
    pil = getattr(ImageEnhance, name)(Image.fromarray(image)).enhance(factor)
    ours = getattr(photometric, name.lower())(image, factor)
    assert distance(ours, pil) <= 2


def test_color_leaves_a_grey_image_alone(photo):
    grey = np.ascontiguousarray(photo[..., 0])
    assert np.array_equal(photometric.color(grey, 3.0), grey)

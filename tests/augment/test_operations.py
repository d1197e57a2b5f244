from __future__ import annotations

import numpy as np
import pytest

from progressive.augment import RandAugment
from progressive.augment.operations import OPERATIONS, cutout_hole

MAGNITUDES = (1, 5, 10, 15, 20, 25)
WITHOUT_STRENGTH = ("AutoContrast", "Equalize", "Invert")
GEOMETRIC = ("Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY")
WITH_STRENGTH = sorted(set(OPERATIONS) - set(WITHOUT_STRENGTH))


def test_the_sixteen_operations_of_the_original():
    original = (
        "AutoContrast Equalize Invert Rotate Posterize Solarize Color Contrast Brightness "
        "Sharpness ShearX ShearY TranslateX TranslateY Cutout SolarizeAdd"
    )
    assert list(OPERATIONS) == original.split()


@pytest.mark.parametrize(
    ("name", "magnitude", "expected"),
    [
        ("Rotate", 10, (30, -30)),
        ("Rotate", 25, (75, -75)),
        ("ShearX", 10, (0.3, -0.3)),
        ("ShearY", 25, (0.75, -0.75)),
        ("TranslateX", 15, (0.5, -0.5)),  # 150 of 300 pixels
        ("TranslateY", 3, (0.1, -0.1)),
        ("Posterize", 0, (8,)),
        ("Posterize", 15, (4.5,)),
        ("Posterize", 30, (1,)),
        ("Solarize", 0, (256,)),
        ("Solarize", 15, (128,)),
        ("Solarize", 30, (0,)),
        ("Color", 10, (1.9, 0.7)),
        ("Contrast", 0, (1, 1)),
        ("Brightness", 25, (3.25, 0.25)),
        ("Sharpness", 30, (3.7, 0.1)),
        ("Cutout", 10, (80 / 300,)),  # 40 pixels to each side of the centre
        ("SolarizeAdd", 10, (110,)),
        ("Invert", 10, (0,)),
    ],
)
def test_strength_of_a_magnitude(name, magnitude, expected):
    assert OPERATIONS[name].scale.strengths(magnitude) == pytest.approx(expected)


def augmented(name, magnitude, image, seed):
    transform = RandAugment(num_ops=1, magnitude=magnitude, operations=[name])
    transform.set_random_seed(seed)
    height, width = image.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float64)
    result = transform(image=image, keypoints=corners)
    return result["image"], result["keypoints"] - corners


@pytest.mark.parametrize("name", WITH_STRENGTH)
def test_magnitude_zero_is_the_identity(name, photo):
    for seed in range(4):
        image, moved = augmented(name, 0, photo, seed)
        assert np.array_equal(image, photo)
        assert not moved.any()


def effect(name, magnitude, image):
    """Return the mean displacement or mean change of a pixel, over both directions."""
    effects = []
    for seed in range(6):
        changed, moved = augmented(name, magnitude, image, seed)
        if name in GEOMETRIC:
            effects.append(np.linalg.norm(moved, axis=1).mean())
        else:
            effects.append(np.abs(changed.astype(float) - image).mean())
    return np.mean(effects)


@pytest.mark.parametrize("name", WITH_STRENGTH)
def test_every_operation_gets_stronger_with_the_magnitude(name, photo):
    effects = [effect(name, magnitude, photo) for magnitude in MAGNITUDES]
    assert np.all(np.diff(effects) > 0)
    assert effects[-1] > 1.25 * effects[2] > 2.5 * effects[0]


@pytest.mark.parametrize("name", [*GEOMETRIC, "Color", "Contrast", "Brightness", "Sharpness"])
def test_both_directions_occur(name, photo):
    results = {augmented(name, 9, photo, seed)[0].tobytes() for seed in range(12)}
    assert len(results) == 2


def test_cutout_is_a_square_of_whole_pixels_cut_at_the_border():
    assert cutout_hole(0.5, 0.5, 0.5, height=40, width=100) == (40, 10, 60, 30)
    assert cutout_hole(0.5, 0.0, 1.0, height=40, width=100) == (0, 30, 10, 40)

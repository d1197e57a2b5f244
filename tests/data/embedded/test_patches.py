"""Blur kernels, texture and exposure, checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from progressive.data.embedded.patches import KINDS, cut_pair, expose, kernel, textured_share
from progressive.data.embedded.specs import BlurSpec

SPEC = BlurSpec()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.5])
def test_a_kernel_has_sum_one_and_the_asked_deviation(kind: str, sigma: float) -> None:
    values = kernel(kind, sigma, angle=0.0)
    side = 2 * int(np.ceil(3 * sigma)) + 1
    assert values.shape == (side, side)
    assert values.sum() == pytest.approx(1, abs=1e-5)
    offsets = np.arange(side) - side // 2
    # A motion blur at angle 0 is along x.
    assert (values.sum(axis=0) * offsets**2).sum() ** 0.5 == pytest.approx(sigma, rel=0.07)


def test_motion_follows_its_angle() -> None:
    across, down = kernel("motion", 2.0, 0.0), kernel("motion", 2.0, np.pi / 2)
    assert np.count_nonzero(across.sum(axis=1)) == 1
    assert np.allclose(across.T, down)


def test_the_textured_half_of_a_patch_counts() -> None:
    patch = np.zeros((64, 64, 3), np.float32)
    assert textured_share(patch, 200.0) == 0
    patch[:, 48:] = np.random.default_rng(0).uniform(0, 255, (64, 16, 1))
    # The Laplacian also sees the edge from the block to its left.
    assert textured_share(patch, 200.0) == pytest.approx(0.5)
    patch[:] = np.random.default_rng(0).uniform(0, 255, (64, 64, 1))
    assert textured_share(patch, 200.0) == 1


def test_a_pair_differs_by_the_blur_only() -> None:
    photograph = np.random.default_rng(0).integers(0, 255, (600, 800, 3), np.uint8)
    pair = cut_pair(np.random.default_rng(1), SPEC, photograph, (0.9, 1.0))
    assert pair.sharp.shape == pair.blurred.shape == (128, 128, 3)
    assert pair.kind in KINDS
    assert 1.0 <= pair.sigma <= 3.5
    assert pair.blurred.std() < 0.5 * pair.sharp.std()
    assert pair.blurred.mean() == pytest.approx(pair.sharp.mean(), abs=1)


def test_a_smooth_photograph_is_refused() -> None:
    with pytest.raises(ValueError, match="no patch with texture in 50% of its blocks"):
        cut_pair(np.random.default_rng(0), SPEC, np.zeros((300, 300, 3), np.uint8), (0.9, 1.0))


def test_exposure_scales_and_noise_is_added() -> None:
    patch = np.full((128, 128, 3), 100, np.float32)
    image = expose(np.random.default_rng(0), SPEC, patch, 1.2)
    assert image.dtype == np.uint8
    assert image.mean() == pytest.approx(120, abs=0.5)
    assert 0 < image.std() <= 5.1

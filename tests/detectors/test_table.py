"""Parameters and feature maps of backbones, compared with published numbers (timm 1.0.31)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from progressive.detectors.catalog import BACKBONES, HEADS
from progressive.detectors.table import docs_tables, measure, replace_between

ROOT = Path(__file__).parents[2]
STRIDES = (2, 4, 8, 16, 32)


@pytest.mark.parametrize(
    ("backbone", "parameters", "channels"),
    [
        ("efficientnetv2_s", 19_847_248, (24, 48, 64, 160, 256)),
        ("efficientnetv2_m", 52_200_436, (24, 48, 80, 176, 512)),
        ("efficientnetv2_l", 116_412_512, (32, 64, 96, 224, 640)),
        ("efficientnetv2_b0", 5_610_384, (16, 32, 48, 112, 192)),
        ("efficientnetv2_b1", 6_611_732, (16, 32, 48, 112, 192)),
        ("efficientnetv2_b2", 8_391_406, (16, 32, 56, 120, 208)),
        ("efficientnetv2_b3", 12_461_982, (16, 40, 56, 136, 232)),
        ("efficientnet_b0", 3_595_388, (16, 24, 40, 112, 320)),
        ("efficientnet_b1", 6_101_024, (16, 24, 40, 112, 320)),
        ("efficientnet_b2", 7_202_562, (16, 24, 48, 120, 352)),
        ("efficientnet_b3", 10_103_336, (24, 32, 48, 136, 384)),
    ],
)
def test_parameters_and_channels_as_published(backbone, parameters, channels):
    row = measure(backbone, 64)
    assert (row.parameters, row.channels, row.strides) == (parameters, channels, STRIDES)


def test_multiply_adds_grow_with_the_pixels():
    small, large = measure("elan", 320), measure("elan", 640)
    assert large.gmacs == pytest.approx(33.07, abs=0.005)
    assert large.gmacs / small.gmacs == pytest.approx(4, rel=0.001)


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "progressive.detectors", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_the_command_prints_every_backbone_as_json():
    rows = json.loads(command("--size", "320", "--json").stdout)
    assert [row["backbone"] for row in rows] == list(BACKBONES)
    assert set(rows[0]) == {"backbone", "parameters", "gmacs", "channels", "strides"}


@pytest.mark.parametrize("size", ["100", "0", "x"])
def test_a_wrong_size_is_one_line(size):
    done = command("--size", size)
    assert done.returncode == 2
    assert done.stderr == f"progressive: --size {size}: must be a multiple of 32 up to 8192\n"


@pytest.mark.slow
def test_the_page_is_not_stale():
    text = (ROOT / "docs" / "detectors.md").read_text("utf-8")
    tables = docs_tables()
    assert replace_between(text, tables) == text
    assert all(f"| {name} " in tables for name in (*BACKBONES, *HEADS))

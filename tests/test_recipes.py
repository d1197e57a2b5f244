"""Every recipe of conf/experiment learns on the embedded data, made small enough for two cores."""

from __future__ import annotations

import csv
import json

import pytest

from progressive.config.command_line import compose_config
from progressive.data import resolve
from progressive.run import run

SMALL = ("device=cpu", "stages=2", "size.max=128", "train.plots=false", "output=run")
QUARTER = ("backbone.width=0.25", "backbone.depth=0.25", "size.min=96", "epochs=8")
#: ResNet-50 has no fractions: fewer epochs on half of the images instead.
WHOLE = ("size.min=64", "size.max=96", "epochs=6", "train.fraction=0.5")
DETECTORS = {
    "yolov10_efficientnetv2": (("yolov10", "s", "efficientnetv2_s"), QUARTER),
    "yolov8_efficientnet": (("yolov8", "n", "efficientnet_b0"), QUARTER),
    "yolov5_efficientnetv2": (("yolov5", "n", "efficientnetv2_b0"), QUARTER),
    "resnet50_progressive": (("yolov8", "n", "resnet50"), WHOLE),
}


@pytest.mark.parametrize("recipe", DETECTORS)
def test_recipe_composes_what_it_says(recipe):
    (head, scale, backbone), _ = DETECTORS[recipe]
    config = compose_config([f"+experiment={recipe}", "device=cpu"])
    assert (config.head.name, config.head.scale, config.backbone.name) == (head, scale, backbone)
    assert config.backbone.width == 1
    assert len(config.schedule().stages) == 4


def test_blur_or_sharp_raises_every_strength():
    config = compose_config(["+experiment=blur_or_sharp", "device=cpu"])
    assert (config.task, config.data) == ("classify", "blur")
    first, *_, last = config.schedule().stages
    assert (first.image_size, last.image_size) == (64, 128)
    for strength in ("randaugment_magnitude", "mixup", "dropout_rate"):
        assert 0 <= getattr(first, strength) < getattr(last, strength)


@pytest.mark.parametrize("recipe", [*DETECTORS, "blur_or_sharp"])
def test_recipe_plans(recipe, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run(compose_config([f"+experiment={recipe}", "device=cpu", "dry_run=true"]))
    assert "Pixel cost" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("recipe", DETECTORS)
def test_recipe_learns(recipe, tmp_path, monkeypatch):
    from progressive.detectors import build_detector

    monkeypatch.chdir(tmp_path)
    (head, scale, backbone), shrink = DETECTORS[recipe]
    config = compose_config([f"+experiment={recipe}", *SMALL, *shrink])
    run(config)
    losses = training_losses(tmp_path / "run")
    assert losses[-1] < 0.8 * losses[0]

    dataset = resolve("digits", "detect")
    part = {"width": config.backbone.width, "depth": config.backbone.depth}
    untrained = build_detector(head, scale, backbone, classes=dataset.names, seed=1, **part)
    before = untrained.val(
        data=str(dataset.source),
        imgsz=int(config.size.max),
        device="cpu",
        plots=False,
        project=str(tmp_path),
    )
    assert metrics(tmp_path / "run")["mAP50"] > before.box.map50 + 0.02


@pytest.mark.slow
def test_blur_or_sharp_learns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Of its 40 epochs, with which it reaches 0.99; chance is 0.5.
    run(compose_config(["+experiment=blur_or_sharp", "device=cpu", "output=run", "epochs=16"]))
    assert metrics(tmp_path / "run")["accuracy_top1"] >= 0.8


def training_losses(folder):
    """Return the sum of the training losses of every epoch."""
    with (folder / "results.csv").open() as file:
        return [
            sum(float(value) for name, value in row.items() if name.startswith("train/"))
            for row in csv.DictReader(file)
        ]


def metrics(folder):
    return json.loads((folder / "summary.json").read_text())["metrics"]

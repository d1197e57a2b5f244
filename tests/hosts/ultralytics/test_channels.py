"""Images of other channels than grey or RGB: augmented, and trained by every backbone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import albumentations as A
import cv2
import numpy as np
import pytest
import torch
from ultralytics import YOLO
from ultralytics.data.augment import Albumentations, Compose
from ultralytics.utils.instance import Instances

from progressive.augment import RandAugment
from progressive.detectors import build_detector
from progressive.errors import InputError
from progressive.hosts.ultralytics.callback import ProgressiveCallback
from progressive.hosts.ultralytics.channels import AnyChannels, let_through
from progressive.hosts.ultralytics.checkpoints.randomness import (
    set_transform_states,
    transform_states,
)
from progressive.schedule import ProgressiveSchedule

BOX = (20, 30, 60, 80)


def sample(channels):
    image = np.zeros((100, 120, channels), np.uint8)
    image[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 200
    boxes = Instances(
        np.array([BOX], np.float32),
        np.zeros((0, 4, 2), np.float32),
        bbox_format="xyxy",
        normalized=False,
    )
    return {"img": image, "cls": np.zeros((1, 1), np.float32), "instances": boxes}


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_boxes_follow_the_pixels_of_every_channel(channels):
    moves = RandAugment(1, 6, operations=["Rotate", "ShearX", "TranslateY"], fill=0)
    pipeline = Compose([Albumentations(p=1.0, transforms=[moves])])
    let_through(pipeline)
    assert isinstance(pipeline.transforms[0], AnyChannels)
    moved = 0
    for seed in range(10):
        torch.manual_seed(seed)
        before = sample(channels)
        after = pipeline(dict(before))
        assert after["img"].shape == before["img"].shape
        after["instances"].convert_bbox("xyxy")
        after["instances"].denormalize(120, 100)
        for channel in range(channels):
            rows, columns = np.nonzero(after["img"][..., channel] > 100)
            seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert after["instances"].bboxes[0] == pytest.approx(seen, abs=2)
        moved += not np.array_equal(after["img"], before["img"])
    assert moved == 10


@pytest.mark.parametrize("channels", [3, 4])
def test_the_state_of_its_generators_is_found(channels):
    def made():
        pipeline = Compose([Albumentations(p=1.0, transforms=[RandAugment(2, 9)])])
        let_through(pipeline)
        return SimpleNamespace(transforms=pipeline)

    first, second = made(), made()
    torch.manual_seed(0)
    first.transforms(sample(channels))
    states = transform_states(first)
    expected = first.transforms(sample(channels))["img"]
    torch.manual_seed(0)
    second.transforms(sample(channels))
    second.transforms(sample(channels))
    set_transform_states(second, states)
    assert any(state["seed"] is not None for state in states)
    assert np.array_equal(second.transforms(sample(channels))["img"], expected)


def test_a_sample_that_is_not_augmented_keeps_its_channels():
    before = sample(5)
    never = AnyChannels(Albumentations(p=0.0, transforms=[RandAugment(2, 9)]))
    assert never(dict(before))["img"] is before["img"]


def dataset(folder: Path, channels: int) -> Path:
    random = np.random.default_rng(0)
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for number in range(4):
            image = random.integers(0, 255, (64, 64, channels), dtype=np.uint8)
            pages = [np.ascontiguousarray(image[..., c]) for c in range(channels)]
            cv2.imwritemulti(str(folder / "images" / split / f"{number}.tiff"), pages)
            (folder / "labels" / split / f"{number}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    file = folder / "data.yaml"
    text = f"path: {folder}\ntrain: images/train\nval: images/val\nnames: [box]\n"
    file.write_text(f"{text}channels: {channels}\n")
    return file


BACKBONES = {
    "stock": lambda channels: YOLO("yolov8n.yaml"),
    "timm": lambda channels: build_detector("yolov8", "n", width=0.25, depth=0.25),
    "design": lambda channels: build_detector(
        "yolov8", "n", "elan", width=0.125, depth=0.25, channels=channels
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("channels", [4, 6])
def test_multispectral_images_are_trained_and_augmented(
    tmp_path, fast, plain, backbone, channels, make_recorder
):
    schedule = ProgressiveSchedule.linear(
        epochs=2, stages=2, image_size=(32, 64), randaugment=(0, 15), dropout=(0, 0.1)
    )
    model = BACKBONES[backbone](channels)
    trainer = make_recorder()
    ProgressiveCallback(schedule).attach(model)
    own = {"augmentations": [A.Blur(p=1.0)]}  # Ultralytics skips it for such images
    arguments = {**fast, **plain, **own, "project": str(tmp_path), "name": "r"}
    model.train(trainer=trainer, data=str(dataset(tmp_path, channels)), **arguments)
    first, second = trainer.batches
    assert first["shape"] == (4, channels, 32, 32)
    assert second["shape"] == (4, channels, 64, 64)
    # At 64 px nothing resizes the noise, so a file's pixels would come back as they are.
    files = [
        cv2.imreadmulti(str(path), flags=cv2.IMREAD_UNCHANGED)[1]
        for path in sorted((tmp_path / "images" / "train").iterdir())
    ]
    unchanged = {np.stack(pages).tobytes() for pages in files}
    found = {image.mul(255).round().byte().numpy().tobytes() for image in second["images"]}
    assert len(found - unchanged) >= 3
    saved = YOLO(model.trainer.last).model
    assert next(saved.parameters()).shape[1] == channels


@pytest.mark.slow
def test_images_of_other_channels_than_the_yaml_says_are_refused(tmp_path, fast):
    source = dataset(tmp_path, 6)
    source.write_text(source.read_text().replace("channels: 6", "channels: 5"))
    model = YOLO("yolov8n.yaml")
    ProgressiveCallback(ProgressiveSchedule.fixed(epochs=1, image_size=32)).attach(model)
    with pytest.raises(InputError, match=r"channels=5: .*\.tiff has 6; correct the data yaml"):
        model.train(data=str(source), project=str(tmp_path), name="r", **fast)


@pytest.mark.slow
def test_a_knob_that_the_model_has_no_layer_for_is_named(tmp_path, fast, tiny_data, monkeypatch):
    from progressive.hosts.ultralytics import model_knobs

    said = []
    monkeypatch.setattr(model_knobs.LOGGER, "warning", lambda text: said.append(str(text)))
    model = YOLO("yolov8n.yaml")
    schedule = ProgressiveSchedule.fixed(epochs=1, image_size=32, drop_path=0.2)
    ProgressiveCallback(schedule).attach(model)
    model.train(data=str(tiny_data), project=str(tmp_path), name="r", **{**fast, "val": False})
    assert any("drop_path has no effect" in text for text in said)


@pytest.mark.slow
def test_the_log_says_which_operation_is_left_out(tmp_path, fast, plain, monkeypatch):
    from progressive.hosts.ultralytics import loader

    said = []
    monkeypatch.setattr(loader.LOGGER, "info", lambda text: said.append(str(text)))
    schedule = ProgressiveSchedule.fixed(epochs=1, image_size=32, randaugment=9)
    model = YOLO("yolov8n.yaml")
    ProgressiveCallback(schedule).attach(model)
    arguments = {**fast, **plain, "val": False, "project": str(tmp_path), "name": "r"}
    model.train(data=str(dataset(tmp_path, 4)), **arguments)
    assert any("images of 4 channel(s) leaves out Color" in text for text in said)

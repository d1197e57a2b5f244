"""The same four knobs on Ultralytics' classification trainer."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import nn
from ultralytics.data.augment import classify_augmentations
from ultralytics.models.yolo.classify import ClassificationTrainer
from ultralytics.nn.tasks import ClassificationModel

from progressive.detectors import build_classifier
from progressive.hosts.ultralytics.callback import ProgressiveCallback
from progressive.hosts.ultralytics.classification import (
    MixUpCollate,
    PillowRandAugment,
    stage_transforms,
)
from progressive.schedule import ProgressiveSchedule

#: Switches off what Ultralytics does to the pixels.
PLAIN = {
    "auto_augment": None,
    "scale": 0.0,
    "fliplr": 0.0,
    "hsv_h": 0.0,
    "hsv_s": 0.0,
    "hsv_v": 0.0,
    "erasing": 0.0,
}
FAST = {"batch": 8, "device": "cpu", "plots": False, "deterministic": False, "verbose": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Dark and bright flat images, eight of each to train on."""
    root = tmp_path_factory.mktemp("classes")
    for split, count in (("train", 8), ("val", 2)):
        for name, level in (("bright", 200), ("dark", 50)):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                image = np.full((96, 96, 3), level, np.uint8)
                cv2.imwrite(str(root / split / name / f"{i}.png"), image)
    return root


def train(folder, schedule, tmp_path, workers=0, **arguments):
    """Train and return what the batches of each epoch looked like."""
    batches = []

    class Recorder(ClassificationTrainer):
        def get_dataloader(self, *args, mode="train", **kwargs):
            self.args.workers = workers if mode == "train" else 0
            return super().get_dataloader(*args, mode=mode, **kwargs)

        def preprocess_batch(self, batch):
            batch = super().preprocess_batch(batch)
            dropout = [m.p for m in self.model.modules() if isinstance(m, nn.Dropout)]
            batches.append({"epoch": self.epoch, "dropout": dropout, **batch})
            return batch

    model = build_classifier(width=0.25, depth=0.25, classes=["bright", "dark"], seed=0)
    callback = ProgressiveCallback(schedule).attach(model)
    model.train(
        trainer=Recorder,
        data=str(folder),
        project=str(tmp_path),
        name="r",
        **PLAIN,
        **FAST,
        **arguments,
    )
    return batches, callback


def zeros(values):
    return (values == 0).float().mean().item()


@pytest.mark.slow
def test_size_and_dropout_follow_the_schedule(folder, tmp_path):
    schedule = ProgressiveSchedule.linear(
        epochs=4, stages=2, image_size=(32, 64), dropout=(0.1, 0.4)
    )
    batches, callback = train(folder, schedule, tmp_path, workers=2)
    sizes = {b["epoch"]: tuple(b["img"].shape[2:]) for b in batches}
    assert sizes == {0: (32, 32), 1: (32, 32), 2: (64, 64), 3: (64, 64)}
    assert {b["epoch"]: b["dropout"] for b in batches} == {0: [0.1], 1: [0.1], 2: [0.4], 3: [0.4]}
    # Without strength, pixels and labels are those of the files.
    assert all(set(b["img"].mul(255).round().int().unique().tolist()) <= {50, 200} for b in batches)
    assert all(b["cls"].dtype == torch.int64 for b in batches)
    accuracy = [record.metrics["accuracy_top1"] for record in callback.epochs]
    assert accuracy[0] is None  # one of the epochs that are not validated
    assert all(0 <= value <= 1 for value in accuracy[1:])


@pytest.mark.slow
def test_dropout_drops_in_training_and_never_in_validation(folder, tmp_path):
    before, dropped = [], {True: [], False: []}

    def count(module, inputs):
        if isinstance(module, nn.Dropout):  # ahead of the layer, which works in place
            before.append(zeros(inputs[0]))

    def compare(module, inputs, output):
        if isinstance(module, nn.Dropout):
            dropped[module.training].append(zeros(output) - before.pop())

    # Of every model, also of the averaged one that is validated.
    handles = [
        nn.modules.module.register_module_forward_pre_hook(count),
        nn.modules.module.register_module_forward_hook(compare),
    ]
    try:
        schedule = ProgressiveSchedule.linear(
            epochs=2, stages=2, image_size=(32, 64), dropout=(0.1, 0.5)
        )
        batches, _ = train(folder, schedule, tmp_path)
    finally:
        for handle in handles:
            handle.remove()
    first, last = np.array_split(dropped[True][-len(batches) :], 2)
    assert np.mean(first) == pytest.approx(0.1, abs=0.02)
    assert np.mean(last) == pytest.approx(0.5, abs=0.02)
    assert dropped[False]
    assert not any(dropped[False])


@pytest.mark.slow
def test_dropout_of_the_trainer_stays_if_the_schedule_has_none(folder, tmp_path):
    schedule = ProgressiveSchedule.linear(epochs=2, stages=2, image_size=(32, 64))
    batches, _ = train(folder, schedule, tmp_path, dropout=0.25)
    assert {tuple(batch["dropout"]) for batch in batches} == {(0.25,)}
    schedule = ProgressiveSchedule.fixed(epochs=2, image_size=32, dropout=0.1)
    with pytest.raises(ValueError, match=r"dropout=0\.25: the schedule sets dropout in every"):
        train(folder, schedule, tmp_path, dropout=0.25)
    schedule = ProgressiveSchedule.fixed(epochs=2, image_size=32, mosaic=0.5)
    with pytest.raises(ValueError, match="task=classify: has no mosaic"):
        train(folder, schedule, tmp_path)


@pytest.mark.parametrize("policy", ["randaugment", "augmix", "autoaugment"])
def test_our_randaugment_takes_the_place_of_every_policy(policy):
    base = classify_augmentations(64, auto_augment=policy)
    theirs = {"randaugment": "RandAugment", "augmix": "AugMix", "autoaugment": "AutoAugment"}

    def augmentations(magnitude, randaugment):
        stage = ProgressiveSchedule.fixed(epochs=1, image_size=32, randaugment=magnitude).at(0)
        names = [type(t).__name__ for t in stage_transforms(base, stage, **randaugment).transforms]
        return [name for name in names if "Aug" in name]

    used, unused = {"randaugment": True}, {"randaugment": False}
    assert augmentations(9, used) == ["PillowRandAugment"]
    assert augmentations(0, used) == []  # a stage without, in a schedule with
    assert augmentations(0, unused) == [theirs[policy]]


@pytest.mark.slow
def test_validation_is_at_the_final_size_in_every_stage(folder, tmp_path):
    sizes = []

    def note(module, inputs, output):
        # Batches of one are how Ultralytics measures a model.
        if isinstance(module, ClassificationModel) and not module.training and len(inputs[0]) > 1:
            sizes.append(tuple(inputs[0].shape[2:]))

    handle = nn.modules.module.register_module_forward_hook(note)
    try:
        schedule = ProgressiveSchedule.linear(epochs=2, stages=2, image_size=(32, 64))
        train(folder, schedule, tmp_path)
    finally:
        handle.remove()
    assert len(sizes) >= 2
    assert set(sizes) == {(64, 64)}


@pytest.mark.slow
def test_mixup_blends_images_and_labels_alike(folder, tmp_path):
    schedule = ProgressiveSchedule.linear(epochs=6, stages=2, image_size=(32, 32), mixup=(0, 1))
    batches, _ = train(folder, schedule, tmp_path)
    assert all(b["cls"].ndim == 1 for b in batches if b["epoch"] < 3)
    blended = [b for b in batches if b["epoch"] >= 3]
    for batch in blended:
        # The share of class bright in the label is the share of its level in the pixels.
        level = batch["img"][:, 0, 16, 16] * 255
        assert torch.allclose(50 + 150 * batch["cls"][:, 0], level, atol=1.5)
        assert torch.allclose(batch["cls"].sum(1), torch.ones(len(level)))
    shares = torch.cat([b["cls"][:, 0] for b in blended])
    assert ((shares > 0.02) & (shares < 0.98)).float().mean() > 0.2


@pytest.mark.slow
def test_magnitude_changes_pixels_more_and_more(folder, tmp_path):
    schedule = ProgressiveSchedule.linear(
        epochs=12, stages=2, image_size=(32, 32), randaugment=(1, 25)
    )
    batches, _ = train(folder, schedule, tmp_path)
    change = {0: [], 1: []}
    for batch in batches:
        level = torch.where(batch["cls"] == 0, 200, 50).view(-1, 1, 1, 1) / 255
        change[int(batch["epoch"] >= 6)].append((batch["img"] - level).abs().mean().item())
    assert np.mean(change[1]) > 1.5 * np.mean(change[0]) > 0


@pytest.mark.parametrize(("alpha", "variance"), [(0.2, 5 / 28), (1.0, 1 / 12)])
def test_the_blend_is_drawn_from_beta(alpha, variance):
    # The variance of Beta(alpha, alpha) is 1 / (8 alpha + 4).
    torch.manual_seed(0)
    samples = [{"img": torch.zeros(1, 1, 1), "cls": label} for label in (0, 1)]
    collate = MixUpCollate(alpha, 2)
    shares = torch.stack([collate(samples)["cls"][0, 0] for _ in range(2000)])
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert shares.var() == pytest.approx(variance, rel=0.1)


def test_parts_of_the_loader_survive_pickling():
    import pickle

    from PIL import Image

    augment = pickle.loads(pickle.dumps(PillowRandAugment(9)))
    image = Image.fromarray(np.full((32, 32, 3), 100, np.uint8))
    assert augment(image).size == (32, 32)
    collate = pickle.loads(pickle.dumps(MixUpCollate(0.2, 2)))
    batch = collate([{"img": torch.rand(3, 8, 8), "cls": i} for i in (0, 1)])
    assert batch["cls"].shape == (2, 2)

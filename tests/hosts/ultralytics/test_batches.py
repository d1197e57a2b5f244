"""Batches merged where images are small: how many, when, and what the optimizer sees of it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from ultralytics import YOLO
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import RTDETRDetectionModel

from progressive.hosts.ultralytics.batches import StepCounter, batches_to_merge, may_merge
from progressive.hosts.ultralytics.callback import ProgressiveCallback
from progressive.schedule import ProgressiveSchedule


@pytest.mark.parametrize(
    ("image_size", "last_size", "accumulate", "expected"),
    [
        (320, 640, 4, 4),  # four times the images in the same pixels
        (320, 640, 8, 4),
        (160, 640, 4, 4),  # no more than the optimizer waits for
        (416, 640, 4, 2),
        (480, 640, 4, 1),
        (640, 640, 4, 1),
        (320, 640, 1, 1),
        (320, 640, 6, 3),  # divides what the optimizer waits for
        (320, 640, 5, 1),
    ],
)
def test_how_many(image_size, last_size, accumulate, expected):
    assert batches_to_merge(image_size, last_size, accumulate) == expected


@pytest.mark.parametrize(
    ("task", "warmup", "epoch", "drop_last", "expected"),
    [
        ("detect", 3.0, 3, False, False),  # the last steps of warming up
        ("detect", 3.0, 4, False, True),
        ("detect", 0.0, 0, False, True),
        ("detect", 0.0, 0, True, False),  # would leave out more images
        ("classify", 0.0, 0, False, False),  # its loss is a mean
    ],
)
def test_when(task, warmup, epoch, drop_last, expected):
    args = SimpleNamespace(task=task, warmup_epochs=warmup)
    assert may_merge(trainer(args, epoch, torch.nn.Identity(), drop_last)) is expected


def trainer(args, epoch, model, drop_last=False):
    loader = SimpleNamespace(drop_last=drop_last)
    return SimpleNamespace(args=args, epoch=epoch, epochs=9, model=model, train_loader=loader)


def test_rtdetr_has_a_mean_for_a_loss():
    model = RTDETRDetectionModel.__new__(RTDETRDetectionModel)
    torch.nn.Module.__init__(model)
    args = SimpleNamespace(task="detect", warmup_epochs=0.0)
    assert not may_merge(trainer(args, 0, model))


@pytest.mark.parametrize(
    "name", ["yolov8n", "yolov10n", "yolov8n-seg", "yolov8n-pose", "yolov8n-obb"]
)
def test_gradients_of_a_merged_batch_are_the_sum_of_its_parts(name):
    torch.manual_seed(0)
    model = YOLO(f"{name}.yaml").model.train()
    model.args = get_cfg()
    half = example(name)
    merged = {key: torch.cat([value, value]) for key, value in half.items()}
    merged["batch_idx"] = torch.cat([half["batch_idx"], half["batch_idx"] + 2])
    if "masks" in half:  # overlapping masks: one map an image
        merged["masks"] = torch.cat([half["masks"], half["masks"]])

    def gradients(*batches):
        model.zero_grad()
        for batch in batches:
            model(batch)[0].sum().backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    apart, together = gradients(half, half), gradients(merged)
    assert (apart - together).norm() < 0.02 * apart.norm()


def example(name):
    """Return a batch of two images with 16 objects each, and what the task needs of them.

    The loss divides by how well objects are met, and by one where that is less: few objects of an
    untrained model would hide what is tested.
    """
    centres = torch.linspace(0.125, 0.875, 4)
    boxes = torch.cat([torch.cartesian_prod(centres, centres), torch.full((16, 2), 0.25)], 1)
    batch = {
        "img": torch.rand(2, 3, 128, 128),
        "cls": torch.zeros(32, 1),
        "bboxes": boxes.repeat(2, 1),
        "batch_idx": torch.arange(2.0).repeat_interleave(16),
    }
    if "obb" in name:
        batch["bboxes"] = torch.cat([batch["bboxes"], torch.full((32, 1), 0.2)], 1)
    if "seg" in name:
        batch["masks"] = torch.ones(2, 32, 32)
    if "pose" in name:
        batch["keypoints"] = torch.rand(32, 17, 3)
    return batch


def test_steps_are_counted_in_batches_of_the_usual_size():
    counter, seen = StepCounter(accumulate=4), []
    for epoch, merged in enumerate((2, 4, 1)):  # five batches an epoch
        counter.start_epoch(epoch, 5, merged)
        seen.append([counter.next_batch() == 0 for _ in range(-(-5 // merged))])
    assert seen == [
        [False, True, False],  # 2, 4, 5
        [True, False],  # 9, 10
        [False, True, False, False, False],  # 11, 12, 13, 14, 15
    ]


def test_an_epoch_that_starts_again_has_no_gradients_left():
    counter = StepCounter(accumulate=4)
    for epoch in (0, 1, 1):
        counter.start_epoch(epoch, 3, 1)
        steps = [counter.next_batch() == 0 for _ in range(3)]
    # After an infinite loss the trainer drops what the epochs before left over.
    assert steps == [False, False, False]
    counter.start_epoch(2, 3, 1)
    assert counter.next_batch() == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("merge", "batch", "nbs", "early", "steps"),
    [
        (True, 3, 12, [12], [1, 1, 1, 1]),
        (False, 3, 12, [3] * 4, [1, 1, 1, 1]),
        (True, 2, 8, [8, 4], [1, 2, 1, 2]),  # six batches an epoch, a step after four
        (True, 1, 6, [3] * 4, [2, 2, 2, 2]),  # two merged batches a step
    ],
)
def test_training_takes_as_many_steps_with_as_many_images(
    merge, batch, nbs, early, steps, tiny_data, fast, plain, make_recorder, tmp_path
):
    taken, sizes = [0] * 4, {}

    class Trainer(make_recorder()):
        def optimizer_step(self):
            super().optimizer_step()
            taken[self.epoch] += 1

    model = YOLO("yolov8n.yaml")
    schedule = ProgressiveSchedule.linear(epochs=4, stages=2, image_size=(64, 128))
    callback = ProgressiveCallback(schedule, merge_batches=merge).attach(model)
    arguments = {**fast, **plain, "batch": batch, "nbs": nbs, "warmup_epochs": 0.0}
    model.train(trainer=Trainer, data=str(tiny_data), project=str(tmp_path), **arguments)
    for seen in Trainer.batches:
        sizes.setdefault(seen["epoch"], []).append(seen["shape"][0])
    late = [batch] * (12 // batch)
    assert sizes == {0: early, 1: early, 2: late, 3: late}
    assert taken == steps
    assert model.trainer.batch_size == batch
    callback.detach(model)
    assert len(next(iter(model.trainer.train_loader))["im_file"]) == batch


@pytest.mark.slow
def test_merging_begins_when_warming_up_ends(tiny_data, fast, plain, make_recorder, tmp_path):
    recorder = make_recorder()
    model = YOLO("yolov8n.yaml")
    schedule = ProgressiveSchedule.linear(epochs=4, stages=2, image_size=(32, 64), durations=(3, 1))
    ProgressiveCallback(schedule).attach(model)
    arguments = {**fast, **plain, "batch": 3, "nbs": 12, "warmup_epochs": 1.0}
    model.train(trainer=recorder, data=str(tiny_data), project=str(tmp_path), **arguments)
    sizes = {}
    for seen in recorder.batches:
        sizes.setdefault(seen["epoch"], []).append(seen["shape"][0])
    assert sizes == {0: [3] * 4, 1: [3] * 4, 2: [12], 3: [3] * 4}

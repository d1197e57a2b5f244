"""What a training goes on after, injected into Ultralytics' own trainer, on a CPU."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch._utils import ExceptionWrapper
from ultralytics import YOLO
from ultralytics.cfg import get_cfg
from ultralytics.data.dataset import ClassificationDataset
from ultralytics.nn.tasks import DetectionModel

from progressive import ProgressiveSchedule
from progressive.errors import InputError
from progressive.hosts.ultralytics import ProgressiveCallback, micro_batches
from progressive.hosts.ultralytics.images.unreadable import first_unreadable
from progressive.hosts.ultralytics.micro_batches import parts_of

pytestmark = pytest.mark.slow

SCHEDULE = ProgressiveSchedule.linear(epochs=2, stages=2, image_size=(32, 64))


def train(data, folder, arguments, *, on_epoch_end=None):
    model = YOLO("yolov8n.yaml")
    callback = ProgressiveCallback(SCHEDULE, train_faster=False)  # which would time steps
    callback.attach(model)
    steps = []
    model.add_callback("on_train_start", lambda trainer: count_steps(trainer, steps))
    if on_epoch_end:
        model.add_callback("on_train_epoch_end", on_epoch_end)
    given = {**arguments, "nbs": 8, "warmup_epochs": 0, "amp": False, "seed": 0}
    model.train(
        data=str(data), epochs=2, imgsz=64, project=str(folder.parent), name=folder.name, **given
    )
    return model, steps, callback


def count_steps(trainer, steps):
    step = trainer.optimizer_step

    def counted():
        steps.append(trainer.epoch)
        step()

    trainer.optimizer_step = counted


def remarks(folder):
    assert json.loads((folder / "plan.json").read_text())["remarks"]
    return json.loads((folder / "summary.json").read_text())["remarks"]


def test_out_of_memory_at_a_boundary(tiny_data, fast, tmp_path, monkeypatch):
    monkeypatch.setattr(micro_batches, "DEVICES", ("cpu",))
    predict, seen = DetectionModel.predict, []

    def short_of_memory(self, x, *args, **kwargs):
        if self.training:
            seen.append((len(x), x.shape[-1]))
            if len(x) > 2 and x.shape[-1] == 64:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return predict(self, x, *args, **kwargs)

    _, undisturbed, _ = train(tiny_data, tmp_path / "whole", fast)
    monkeypatch.setattr(DetectionModel, "predict", short_of_memory)
    _, steps, _ = train(tiny_data, tmp_path / "short", fast)
    assert steps == undisturbed == [0, 1, 1]  # after every second batch of 4, 3 in an epoch
    # The batch of 4 is tried once, and then computed in halves, as are those after it.
    assert [images for images, size in seen if size == 64] == [4, 2, 2, 2, 2, 2, 2]
    (said,) = remarks(tmp_path / "short")
    assert said == (
        "Stage 2/2, epoch 2, batch 1: out of memory with 4 images at once; from here on 2, with "
        "as many in a step of the optimizer as before."
    )


def test_a_single_image_that_does_not_fit(tiny_data, fast, tmp_path, monkeypatch):
    monkeypatch.setattr(micro_batches, "DEVICES", ("cpu",))
    predict = DetectionModel.predict

    def short_of_memory(self, x, *args, **kwargs):
        if self.training and x.shape[-1] == 64:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return predict(self, x, *args, **kwargs)

    monkeypatch.setattr(DetectionModel, "predict", short_of_memory)
    with pytest.raises(InputError, match=r"epoch 2, batch 1: a single image does not fit"):
        train(tiny_data, tmp_path / "r", fast)


def test_parts_sum_to_the_batch():
    batch = {
        "img": torch.rand(3, 3, 8, 8),
        "im_file": ["a", "b", "c"],
        "batch_idx": torch.tensor([0, 0, 1, 2]),
        "cls": torch.tensor([[1], [2], [3], [4]]),
        "bboxes": torch.rand(4, 4),
    }
    one, two = parts_of(batch, 2)
    assert (one["im_file"], two["im_file"]) == (["a", "b"], ["c"])
    assert one["batch_idx"].tolist() == [0, 0, 1]
    assert two["batch_idx"].tolist() == [0]
    assert two["cls"].tolist() == [[4]]
    assert torch.equal(two["bboxes"], batch["bboxes"][3:])
    assert torch.equal(torch.cat([one["img"], two["img"]]), batch["img"])
    (whole,) = parts_of(batch, None)
    assert whole == batch


class Breaking:
    """Makes the loss of one step, or of every step of an epoch, not a number."""

    def __init__(self, monkeypatch, *, times):
        self.left, self.seen = times, 0
        loss = DetectionModel.loss

        def broken(model, batch, preds=None):
            found, items = loss(model, batch, preds)
            if model.training and batch["img"].shape[-1] == 64:
                self.seen += 1
                if self.seen % 3 == 2 and self.left:
                    self.left -= 1
                    return found * float("nan"), items
            return found, items

        monkeypatch.setattr(DetectionModel, "loss", broken)


def test_a_loss_that_is_not_a_number(tiny_data, fast, tmp_path, monkeypatch):
    broken = Breaking(monkeypatch, times=1)
    model, _, _ = train(tiny_data, tmp_path / "r", fast)
    assert broken.seen == 6  # three batches, twice
    assert all(p.isfinite().all() for p in model.model.parameters())
    (said,) = remarks(tmp_path / "r")
    assert said.startswith("Stage 2/2, epoch 2, batch 2: the loss is nan (batch in ")
    assert said.endswith("; epoch 2 begins again, 1 of 3 tries.")
    (kept,) = tmp_path.glob("r/nan-*.safetensors")
    with safe_open(kept, "pt") as file:
        assert file.get_tensor("img").shape == (4, 3, 64, 64)
        assert len(json.loads(file.metadata()["im_file"])) == 4


def test_a_loss_that_is_never_a_number(tiny_data, fast, tmp_path, monkeypatch):
    broken = Breaking(monkeypatch, times=100)
    message = r"Stage 2/2, epoch 2, batch 2: the loss is nan \(batch in .*\), for the 4th time"
    with pytest.raises(InputError, match=message):
        train(tiny_data, tmp_path / "r", fast)
    assert broken.seen == 12


@pytest.mark.parametrize("how", ["deleted", "damaged"])
def test_an_image_that_goes_bad(how, fast, tmp_path):
    from survival.data import write_boxes

    data = write_boxes(tmp_path / "data")
    image = tmp_path / "data" / "images" / "train" / "3.png"

    def spoil(trainer):
        if how == "deleted":
            image.unlink(missing_ok=True)
        else:
            image.write_bytes(b"no image")

    train(data, tmp_path / "r", fast, on_epoch_end=spoil)
    assert remarks(tmp_path / "r") == [
        "1 training image could not be read any more, as 3.png: others took the place."
    ]
    assert "could not be read any more" in (tmp_path / "r" / "report.html").read_text()


@pytest.mark.parametrize(("how", "workers"), [("deleted", 0), ("damaged", 1)])
def test_a_validation_image_that_goes_bad(how, workers, fast, tmp_path):
    from survival.data import write_boxes

    data = write_boxes(tmp_path / "data")
    image = next((tmp_path / "data" / "images" / "val").iterdir())

    def spoil(trainer):
        if how == "deleted":
            image.unlink(missing_ok=True)
        else:
            image.write_bytes(b"no image")

    with pytest.raises(InputError) as error:
        train(data, tmp_path / "r", {**fast, "workers": workers}, on_epoch_end=spoil)
    what = "is gone" if how == "deleted" else "cannot be read"
    then = "put it back" if how == "deleted" else "put a good one there"
    assert str(error.value) == (
        f"{image}: this validation image {what}, and scores without it would not compare; "
        f"{then}, then continue with: resume={tmp_path / 'r'}"
    )


def test_nothing_to_remark_and_nothing_left_behind(tiny_data, fast, tmp_path):
    model, _, callback = train(tiny_data, tmp_path / "r", fast)
    assert "remarks" not in json.loads((tmp_path / "r" / "summary.json").read_text())
    trainer = model.trainer
    callback.detach(model)
    assert "get_image_and_label" not in vars(trainer.train_loader.dataset)
    hidden = {"_handle_nan_recovery", "preprocess_batch", "validate", "final_eval"}
    assert not hidden & set(vars(trainer))
    left = {
        type(getattr(f, "__self__", None)) for found in trainer.callbacks.values() for f in found
    }
    assert not {kind.__name__ for kind in left} & {"Place", "Recovery", "Watch"}


def test_an_image_of_a_class_that_goes_bad(fast, tmp_path):
    for split, count in (("train", 4), ("val", 2)):
        for number, name in enumerate(("dark", "light")):
            (tmp_path / "data" / split / name).mkdir(parents=True)
            for each in range(count):
                image = np.full((48, 48, 3), 60 + 120 * number + each, np.uint8)
                cv2.imwrite(str(tmp_path / "data" / split / name / f"{each}.png"), image)
    lost = tmp_path / "data" / "train" / "light" / "2.png"
    model = YOLO("yolov8n-cls.yaml")
    schedule = ProgressiveSchedule.linear(epochs=2, stages=2, image_size=(32, 64), stride=1)
    ProgressiveCallback(schedule).attach(model)
    model.add_callback("on_train_epoch_end", lambda _: lost.unlink(missing_ok=True))
    where = {"project": str(tmp_path), "name": "r", "exist_ok": True}
    arguments = {**fast, "batch": 4, "workers": 0, "device": "cpu", "plots": False}
    model.train(data=str(tmp_path / "data"), epochs=2, imgsz=64, **where, **arguments)
    assert remarks(tmp_path / "r") == [
        "1 training image could not be read any more, as 2.png: others took the place."
    ]


def test_a_validation_image_of_a_class_that_goes_bad(tmp_path):
    for name in ("dark", "light"):
        (tmp_path / "val" / name).mkdir(parents=True)
        for each in range(2):
            image = np.full((48, 48, 3), 60 + each, np.uint8)
            cv2.imwrite(str(tmp_path / "val" / name / f"{each}.png"), image)
    dataset = ClassificationDataset(str(tmp_path / "val"), get_cfg(overrides={"imgsz": 32}))
    assert first_unreadable(dataset, "") is None
    lost = tmp_path / "val" / "light" / "1.png"
    lost.unlink()
    assert first_unreadable(dataset, "") == str(lost)
    assert first_unreadable([], "") is None


def test_an_error_of_a_loader_process_is_still_one_line():
    try:
        raise InputError("a.png: cannot be\nread")
    except InputError:
        error = ExceptionWrapper(where="in DataLoader worker process 0")
    with pytest.raises(InputError) as found:
        error.reraise()
    assert str(found.value) == "a.png: cannot be read"

"""The callback on real, short trainings; each test names the trap of the trainer it guards."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
import torch
from ultralytics import YOLO

from progressive.detectors.build import build_detector
from progressive.errors import InputError
from progressive.hosts.ultralytics import recorder as recorder_module
from progressive.hosts.ultralytics.callback import ProgressiveCallback
from progressive.schedule import ProgressiveSchedule

SCHEDULE = ProgressiveSchedule.linear(
    epochs=6,
    stages=3,
    image_size=(32, 96),
    randaugment=(5, 15),
    mixup=(0.2, 0.6),
    dropout=(0.1, 0.3),
)


def train(model, data, recorder, folder, schedule=SCHEDULE, **arguments):
    callback = ProgressiveCallback(schedule)
    callback.attach(model)
    model.train(
        trainer=recorder,
        data=str(data),
        project=str(folder.parent),
        name=folder.name,
        exist_ok=True,
        **arguments,
    )
    return callback


def by_epoch(recorder, key):
    found = defaultdict(list)
    for batch in recorder.batches:
        found[batch["epoch"]].append(batch[key])
    return dict(found)


@pytest.fixture(scope="module")
def run(tiny_data, fast, make_recorder, tmp_path_factory):
    """One training of a stock model with mosaic, whose last three epochs close it."""
    folder = tmp_path_factory.mktemp("runs") / "stock"
    recorder = make_recorder()
    model = YOLO("yolov8n.yaml")
    train(model, tiny_data, recorder, folder, close_mosaic=3, **fast)
    return folder, recorder, model


def test_every_batch_has_the_size_of_its_stage(run):
    # Trap 1: with mosaic, images buffered at the last stage's size would still come.
    sizes = {e: {s[2:] for s in shapes} for e, shapes in by_epoch(run[1], "shape").items()}
    assert sizes == {
        **{key: {(32, 32)} for key in (0, 1)},
        **{key: {(64, 64)} for key in (2, 3)},
        **{key: {(96, 96)} for key in (4, 5)},
    }


def test_mosaic_stays_closed_while_mixup_goes_on(run):
    # Trap 4: rebuilding transforms opens mosaic again; closing it switches mixup off.
    mosaic = {epoch: set(p) for epoch, p in by_epoch(run[1], "mosaic").items()}
    assert mosaic == {0: {1.0}, 1: {1.0}, 2: {1.0}, 3: {0.0}, 4: {0.0}, 5: {0.0}}
    mixup = {epoch: set(p) for epoch, p in by_epoch(run[1], "mixup").items()}
    assert mixup == {0: {0.2}, 1: {0.2}, 2: {0.4}, 3: {0.4}, 4: {0.6}, 5: {0.6}}


def test_arguments_and_checkpoint_keep_the_final_settings(run):
    # Trap 6: what is written to trainer.args ends up in the checkpoint.
    folder, recorder, model = run
    saved = torch.load(folder / "weights" / "best.pt", weights_only=False)["train_args"]
    assert (saved["imgsz"], saved["mixup"], saved["close_mosaic"]) == (96, 0.0, 3)
    assert not saved.get("augmentations")
    assert {v for values in by_epoch(recorder, "close_mosaic").values() for v in values} == {3}
    assert YOLO(folder / "weights" / "best.pt").overrides["imgsz"] == 96
    assert model.trainer.args.imgsz == 96


def test_validation_has_the_final_size_in_every_stage(run):
    # Trap 7: otherwise fitness could not be compared between stages.
    shapes = set(run[1].validation)
    assert len(run[1].validation) == 5  # the ends of three stages, the last epoch but one, the best
    assert len(shapes) == 1
    assert min(shapes.pop()) >= 96


def test_records_tell_what_happened(run):
    folder, _, _ = run
    with (folder / "epochs.csv").open() as file:
        epochs = list(csv.DictReader(file))
    assert [int(row["image_size"]) for row in epochs] == [32, 32, 64, 64, 96, 96]
    assert [float(row["randaugment_magnitude"]) for row in epochs] == [5, 5, 10, 10, 15, 15]
    assert all(float(row["train_seconds"]) > 0 for row in epochs)
    # Not validated are the two epochs that end no stage and are not in the last one.
    assert [row["mAP50"] != "" for row in epochs] == [False, True, False, True, True, True]
    with (folder / "stages.csv").open() as file:
        assert [row["image_size"] for row in csv.DictReader(file)] == ["32", "64", "96"]
    summary = json.loads((folder / "summary.json").read_text())
    assert 0 <= summary["metrics"]["mAP50_95"] <= summary["metrics"]["mAP50"] <= 1
    assert summary["seconds"]["train"] < summary["seconds"]["total"]
    assert [stage["stop_epoch"] for stage in summary["stages"]] == [2, 4, 6]
    plan = json.loads((folder / "plan.json").read_text())
    assert [stage["image_size"] for stage in plan["stages"]] == [32, 64, 96]


@pytest.mark.slow
def test_time_left_is_announced(tiny_data, fast, make_recorder, tmp_path, caplog):
    schedule = ProgressiveSchedule.linear(epochs=2, stages=2, image_size=(32, 64))
    lines = []
    from ultralytics.utils import LOGGER

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LOGGER, "info", lambda message, *_: lines.append(str(message)))
        train(YOLO("yolov8n.yaml"), tiny_data, make_recorder(), tmp_path / "r", schedule, **fast)
    assert sum(line.endswith(" left") for line in lines) == 1
    assert [line.split(",")[0] for line in lines if line.startswith("Stage ")] == [
        "Stage 1/2: epochs 1-1 at 32 px",
        "Stage 1/2 at 32 px",
        "Stage 2/2: epochs 2-2 at 64 px",
        "Stage 2/2 at 64 px",
    ]


@pytest.mark.slow
def test_worker_processes_switch_too(tiny_data, fast, make_recorder, tmp_path):
    # Trap 2: workers hold a copy of the data set from before the boundary.
    recorder = make_recorder(workers=2)
    schedule = ProgressiveSchedule.linear(epochs=3, stages=3, image_size=(32, 96))
    model = YOLO("yolov8n.yaml")
    train(model, tiny_data, recorder, tmp_path / "r", schedule, **fast)
    assert model.trainer.train_loader.num_workers == 2
    sizes = {e: {s[-1] for s in shapes} for e, shapes in by_epoch(recorder, "shape").items()}
    assert sizes == {0: {32}, 1: {64}, 2: {96}}


@pytest.mark.slow
def test_an_epoch_started_twice_on_a_new_loader(tiny_data, fast, make_recorder, tmp_path):
    # Trap 5: an out-of-memory retry rebuilds the loader at the final size, in the same epoch.
    failures = []

    def fail(trainer):
        if not failures:
            failures.append(trainer.epoch)
            raise RuntimeError("CUDA out of memory")

    recorder = make_recorder(fail=fail)
    schedule = ProgressiveSchedule.linear(epochs=2, stages=2, image_size=(32, 64), mixup=(0.1, 0.2))
    callback = train(YOLO("yolov8n.yaml"), tiny_data, recorder, tmp_path / "r", schedule, **fast)
    assert failures == [0]
    shapes = by_epoch(recorder, "shape")
    assert {shape[0] for shape in shapes[0]} == {2}  # the batch was halved
    assert {e: {s[-1] for s in found} for e, found in shapes.items()} == {0: {32}, 1: {64}}
    assert [record.epoch for record in callback.epochs] == [0, 1]


@pytest.mark.slow
def test_an_epoch_repeated_after_nan(tiny_data, fast, make_recorder, tmp_path):
    # Trap 5 again: here the epoch is repeated on the same loader, after the boundary was passed.
    recorder = make_recorder()
    schedule = ProgressiveSchedule.linear(epochs=3, stages=3, image_size=(32, 96))
    model = YOLO("yolov8n.yaml")
    broken = []

    def break_loss(trainer):
        if trainer.epoch == 1 and not broken:
            broken.append(True)
            trainer.loss = torch.tensor(float("nan"))

    model.add_callback("on_train_epoch_end", break_loss)
    callback = train(model, tiny_data, recorder, tmp_path / "r", schedule, **fast)
    shapes = by_epoch(recorder, "shape")
    assert {e: {s[-1] for s in found} for e, found in shapes.items()} == {0: {32}, 1: {64}, 2: {96}}
    assert len(shapes[1]) == 2 * len(shapes[0])
    assert [record.epoch for record in callback.epochs] == [0, 1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        # Trap 3: a RAM cache holds resized images. The others overrule or forbid a change of size.
        ({"cache": "ram"}, "cache=ram: keeps images at the size"),
        ({"cache": True}, "cache=True: keeps images at the size"),
        ({"multi_scale": 0.5}, "multi_scale=0.5: resizes batches at random"),
        ({"rect": True}, "rect=True: fixes the shape of every batch"),
        ({"time": 0.1}, "time=0.1: changes the number of epochs"),
        ({"mixup": 0.3}, "mixup=0.3: the schedule sets mixup"),
        ({"epochs": 5}, "epochs=5: the schedule has 6"),
        ({"imgsz": 64}, "imgsz=64: the schedule ends at 96"),
    ],
)
def test_impossible_settings_are_refused(
    arguments, message, tiny_data, fast, make_recorder, tmp_path
):
    recorder = make_recorder()
    with pytest.raises(ValueError, match=message):
        train(YOLO("yolov8n.yaml"), tiny_data, recorder, tmp_path / "r", **{**fast, **arguments})
    assert recorder.batches == []


def test_a_refused_training_leaves_no_folder(tiny_data, tmp_path):
    model = YOLO("yolov8n.yaml")
    ProgressiveCallback(ProgressiveSchedule.linear(epochs=2, stages=2, image_size=(64, 96))).attach(
        model
    )
    with pytest.raises(InputError, match="epochs=5: the schedule has 2"):
        model.train(data=str(tiny_data), epochs=5, project=str(tmp_path / "runs"), device="cpu")
    assert not list(tmp_path.glob("runs/*"))


def test_a_refused_training_leaves_the_folder_of_another_alone(tiny_data, tmp_path):
    weights = tmp_path / "run" / "weights"
    weights.mkdir(parents=True)
    (weights / "last.pt").touch()
    (weights.parent / "args.yaml").touch()
    model = YOLO("yolov8n.yaml")
    schedule = ProgressiveSchedule.linear(epochs=2, stages=2, image_size=(64, 96))
    ProgressiveCallback(schedule).attach(model)
    with pytest.raises(InputError, match="epochs=5: the schedule has 2"):
        model.train(data=str(tiny_data), epochs=5, save_dir=str(weights.parent), device="cpu")
    assert (weights / "last.pt").exists()
    assert (weights.parent / "args.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"val_every": 1.5}, "val_every=1.5: must be an integer of at least 1, or None"),
        ({"schedule": "fast"}, "schedule='fast': must be a ProgressiveSchedule"),
        ({"save_minutes": -1}, "save_minutes=-1: must be a number above 0, or None"),
        ({"save_minutes": "a"}, "save_minutes='a': must be a number above 0, or None"),
        ({"val_every": 0}, "val_every=0: must be an integer of at least 1, or None"),
    ],
)
def test_wrong_arguments_are_refused_at_once(arguments, message):
    schedule = ProgressiveSchedule.linear(epochs=2, stages=2, image_size=(64, 96))
    with pytest.raises(InputError, match=message):
        ProgressiveCallback(**{"schedule": schedule, **arguments})


def test_only_a_whole_model_can_be_attached_to():
    schedule = ProgressiveSchedule.linear(epochs=2, stages=2, image_size=(64, 96))
    with pytest.raises(InputError, match="this is a DetectionModel; give the YOLO object itself"):
        ProgressiveCallback(schedule).attach(YOLO("yolov8n.yaml").model)


def test_sizes_that_the_model_cannot_take_are_refused(tiny_data, fast, make_recorder, tmp_path):
    recorder, threads = make_recorder(), torch.get_num_threads()
    schedule = ProgressiveSchedule.linear(epochs=2, stages=2, image_size=(96, 128))
    with pytest.raises(ValueError, match=r"image_size=96: no multiple of .*stride=64"):
        train(YOLO("yolov8n-p6.yaml"), tiny_data, recorder, tmp_path / "r", schedule, **fast)
    assert recorder.batches == []
    assert torch.get_num_threads() == threads


@pytest.mark.slow
def test_early_stopping_waits_for_the_last_stage(
    tiny_data, fast, make_recorder, tmp_path, monkeypatch
):
    said = []
    monkeypatch.setattr(recorder_module.LOGGER, "info", said.append)

    class Plateau(make_recorder()):
        def validate(self):
            self.best_fitness = 0.5
            return super().validate()[0], 0.5

    schedule = ProgressiveSchedule.linear(epochs=12, stages=2, image_size=(32, 64))
    arguments = {"patience": 2, **fast}
    callback = train(
        YOLO("yolov8n.yaml"), tiny_data, Plateau, tmp_path / "r", schedule, **arguments
    )
    stopped = [record.epoch for record in callback.epochs][-1]
    # Two epochs into the last stage: the plateau of the first one did not count.
    assert stopped == 7
    assert sum(str(line).endswith(" left") for line in said) == 7  # and not after the last one


@pytest.mark.slow
def test_a_disk_cache_is_safe(tiny_data, fast, make_recorder, tmp_path):
    recorder = make_recorder()
    schedule = ProgressiveSchedule.linear(epochs=2, stages=2, image_size=(32, 64))
    train(YOLO("yolov8n.yaml"), tiny_data, recorder, tmp_path / "r", schedule, cache="disk", **fast)
    sizes = {e: {s[-1] for s in shapes} for e, shapes in by_epoch(recorder, "shape").items()}
    assert sizes == {0: {32}, 1: {64}}
    for cached in tiny_data.parent.rglob("*.npy"):
        cached.unlink()


@pytest.mark.slow
def test_interrupted_training_resumes_in_its_stage(tiny_data, fast, make_recorder, tmp_path):
    folder = tmp_path / "r"
    model = YOLO("yolov8n.yaml")

    def interrupt(trainer):
        if trainer.epoch == 3:
            raise KeyboardInterrupt

    model.add_callback("on_train_epoch_start", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(model, tiny_data, make_recorder(), folder, **fast)

    recorder = make_recorder()
    resumed = YOLO(folder / "weights" / "last.pt")
    callback = ProgressiveCallback(SCHEDULE).attach(resumed)
    resumed.train(trainer=recorder, resume=True)
    # Epoch 3 lies inside the second stage, whose boundary this process never passed.
    sizes = {e: {s[-1] for s in shapes} for e, shapes in by_epoch(recorder, "shape").items()}
    assert sizes == {3: {64}, 4: {96}, 5: {96}}
    assert [record.epoch for record in callback.epochs] == [0, 1, 2, 3, 4, 5]
    # The trainer built the model anew from its yaml, which knows no dropout.
    dropout = {epoch: rates[0] for epoch, rates in by_epoch(recorder, "dropout").items()}
    assert dropout == {3: [0.2] * 3, 4: [0.3] * 3, 5: [0.3] * 3}


@pytest.mark.slow
def test_the_multi_gpu_launch_carries_the_callback(tiny_data, fast, tmp_path):
    # Trap 11: the launcher pickles trainer and callbacks for a file that each worker runs. Here
    # that very file runs, in one process on the CPU.
    from ultralytics.models.yolo.detect import DetectionTrainer
    from ultralytics.utils.dist import generate_ddp_file

    folder = tmp_path / "r"
    schedule = ProgressiveSchedule.linear(epochs=2, stages=2, image_size=(32, 64), mixup=(0, 0.1))
    model = build_detector("yolov8", "n", "efficientnetv2_b0", width=0.25, depth=0.25, classes=1)
    callback = ProgressiveCallback(schedule, config="kept: true\n").attach(model)
    arguments = {**fast, "data": str(tiny_data), "project": str(tmp_path), "name": "r"}
    trainer = DetectionTrainer(
        overrides={**model.overrides, **arguments, "exist_ok": True}, _callbacks=model.callbacks
    )
    trainer.model = trainer.get_model(weights=model.model, cfg=model.model.yaml)
    file = Path(generate_ddp_file(trainer))
    callback.teardown(trainer)  # which this process does not train
    shutil.rmtree(folder)  # as the launcher does
    try:
        subprocess.run([sys.executable, str(file)], check=True, capture_output=True, text=True)
    finally:
        file.unlink()
        file.with_suffix(".pt").unlink()
    with (folder / "epochs.csv").open() as rows:
        assert [row["image_size"] for row in csv.DictReader(rows)] == ["32", "64"]
    assert (folder / "config.yaml").read_text() == "kept: true\n"
    assert json.loads((folder / "summary.json").read_text())["epochs"] == 2

"""The parts of Ultralytics we lean on; trap 16: its trainer moves with every release."""

from __future__ import annotations

import inspect

import pytest
from ultralytics.data.base import BaseDataset
from ultralytics.data.build import InfiniteDataLoader
from ultralytics.data.dataset import YOLODataset
from ultralytics.engine.model import Model
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.engine.validator import BaseValidator
from ultralytics.models.yolo.classify import ClassificationValidator
from ultralytics.models.yolo.detect import DetectionTrainer, DetectionValidator
from ultralytics.nn import tasks
from ultralytics.utils.dist import generate_ddp_file
from ultralytics.utils.tal import RotatedTaskAlignedAssigner, TaskAlignedAssigner
from ultralytics.utils.torch_utils import EarlyStopping, ModelEMA


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (YOLODataset.build_transforms, ["self", "hyp"]),
        (InfiniteDataLoader.reset, ["self"]),
        (DetectionTrainer.preprocess_batch, ["self", "batch"]),
        (DetectionTrainer.get_model, ["self", "cfg", "weights", "verbose"]),
        (DetectionTrainer.get_validator, ["self"]),
        (BaseTrainer.validate, ["self"]),
        (BaseTrainer.check_resume, ["self", "overrides"]),
        (BaseTrainer.setup_model, ["self"]),
        (BaseTrainer.resume_training, ["self", "ckpt"]),
        (BaseTrainer.optimizer_step, ["self"]),
        (BaseTrainer._handle_nan_recovery, ["self", "epoch"]),
        (BaseValidator.update_metrics, ["self", "preds", "batch"]),
        (DetectionValidator.update_metrics, ["self", "preds", "batch"]),
        (ClassificationValidator.update_metrics, ["self", "preds", "batch"]),
        (BaseTrainer.save_model, ["self"]),
        (BaseDataset.load_image, ["self", "i", "rect_mode", "resize_short"]),
        (BaseDataset.get_image_and_label, ["self", "index"]),
        (Model.add_callback, ["self", "event", "func"]),
        (EarlyStopping.__call__, ["self", "epoch", "fitness"]),
        (ModelEMA.update, ["self", "model"]),
        (tasks.BaseModel.forward, ["self", "x", "args", "kwargs"]),
        (tasks.BaseModel.loss, ["self", "batch", "preds"]),
        (tasks.BaseModel.init_criterion, ["self"]),
        (generate_ddp_file, ["trainer"]),
        (
            TaskAlignedAssigner.select_candidates_in_gts,
            ["self", "xy_centers", "gt_bboxes", "mask_gt", "eps"],
        ),
        (
            RotatedTaskAlignedAssigner.select_candidates_in_gts,
            ["self", "xy_centers", "gt_bboxes", "mask_gt"],
        ),
    ],
)
def test_signature(function, parameters):
    assert list(inspect.signature(function).parameters) == parameters


def test_the_trainer_fires_the_events_we_hook_into():
    from progressive.hosts.ultralytics.callback import EVENTS

    source = inspect.getsource(BaseTrainer)
    assert all(f'"{event}"' in source for event in EVENTS)


def test_the_validator_says_which_batch_it_is_at():
    source = inspect.getsource(BaseValidator)
    assert source.index("self.batch_i = batch_i") < source.index(
        "self.update_metrics(preds, batch)"
    )


def test_the_loader_reads_its_batch_size_from_its_sampler():
    loader = InfiniteDataLoader(range(12), batch_size=2)
    assert len(list(loader)) == 6
    loader.batch_sampler.sampler.batch_size = 4
    loader.reset()
    assert len(loader) == len(list(loader)) == 3


def test_the_trainer_takes_a_step_after_so_many_batches():
    source = inspect.getsource(BaseTrainer._do_train)
    assert "if ni - last_opt_step >= self.accumulate:" in source
    assert "ni = i + nb * epoch" in source
    assert "if nw and ni <= nw:" in source

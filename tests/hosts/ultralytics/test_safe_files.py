"""While a training lasts, Ultralytics reads files through the one door."""

from __future__ import annotations

import ast
import os
import pickle
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
import torch
import ultralytics
from ultralytics.data import dataset
from ultralytics.nn import tasks
from ultralytics.utils import torch_utils
from ultralytics.utils.torch_utils import strip_optimizer

from progressive import ProgressiveCallback, ProgressiveSchedule
from progressive.detectors import build_detector
from progressive.errors import DatasetError, InputError
from progressive.hosts.ultralytics.resume import going_on, trainer_of
from progressive.hosts.ultralytics.safe_files import reading_safely
from progressive.safe_loading.checkpoints import read_checkpoint

READERS = ((tasks, "torch_load"), (torch_utils, "torch_load"), (dataset, "load_dataset_cache_file"))


class Hostile:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.fixture(scope="module")
def small():
    return build_detector("yolov8", "n", width=0.25, depth=0.25, classes=["box"])


def test_every_reader_is_replaced_and_put_back(small, tmp_path):
    before = [getattr(module, name) for module, name in READERS]
    mark, file, cache = tmp_path / "mark", tmp_path / "best.pt", tmp_path / "train.cache"
    torch.save({"model": Hostile(mark)}, file)
    with cache.open("wb") as stream:
        np.save(stream, np.array({"x": Hostile(mark)}, dtype=object), allow_pickle=True)
    with reading_safely(small.model):
        with pytest.raises(InputError, match=r"best\.pt: names"):
            tasks.load_checkpoint(file)
        assert strip_optimizer(file) == {}
        with pytest.raises(DatasetError, match=r"train\.cache: data: is a label cache that names"):
            dataset.load_dataset_cache_file(cache)
    assert [getattr(module, name) for module, name in READERS] == before
    assert not mark.exists()
    pickle.loads(pickle.dumps(Hostile(mark)))
    assert mark.exists()  # so it would have been seen


def readers(source: Path) -> set[str]:
    """Return the calls in a file that can unpickle, but for those that say they do not."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            said = ast.unparse(node)
            if name in {"torch_load", "torch.load", "pickle.load", "pickle.loads", "joblib.load"}:
                found.add(name)
            if name == "np.load" and "allow_pickle=True" in said:
                found.add(name)
    return found


@pytest.mark.slow
def test_ultralytics_unpickles_nowhere_else_in_a_training():
    package = Path(ultralytics.__file__).parent
    places = {
        str(path.relative_to(package)): found
        for folder in (
            "data",
            "engine",
            "models/yolo/detect",
            "models/yolo/classify",
            "nn",
            "utils",
        )
        for path in (package / folder).rglob("*.py")
        if (found := readers(path))
    }
    assert places == {
        "data/utils.py": {"np.load"},  # label caches
        "engine/trainer.py": {"torch_load"},  # of several data sets, which is not used here
        "nn/tasks.py": {"torch_load"},
        "utils/patches.py": {"torch.load"},  # what torch_load calls
        "utils/torch_utils.py": {"torch_load"},
    }


def test_a_trainer_that_goes_on_reaches_the_processes_of_a_multi_gpu_training(small, tmp_path):
    torch.save({"epoch": 1, "ema": small.model}, tmp_path / "last.pt")
    made = going_on(trainer_of(small), read_checkpoint(tmp_path / "last.pt"))
    copy = cloudpickle.loads(cloudpickle.dumps(made))
    assert copy.__bases__ == (trainer_of(small),)
    assert copy.__name__ == "DetectionTrainer"


SCHEDULE = ProgressiveSchedule.linear(epochs=4, stages=2, image_size=(32, 64))


@pytest.mark.slow
def test_weights_swapped_during_the_run_are_not_executed(tiny_data, fast, tmp_path):
    model = build_detector("yolov8", "n", width=0.25, depth=0.25, classes=["box"], seed=0)
    ProgressiveCallback(SCHEDULE, train_faster=False).attach(model)
    mark = tmp_path / "mark"

    def swap(trainer):
        if trainer.epoch + 1 == trainer.epochs:
            for file in (trainer.last, trainer.best):
                torch.save({"epoch": 3, "model": Hostile(mark)}, file)

    model.add_callback("on_model_save", swap)
    with reading_safely(model.model), pytest.raises(InputError, match=r"best\.pt: names"):
        model.train(data=tiny_data, project=str(tmp_path), name="r", **fast)
    assert not mark.exists()


@pytest.mark.slow
def test_a_resumed_run_takes_numbers_from_the_checkpoint_and_arguments_from_us(
    tiny_data, fast, tmp_path
):
    def begin():
        model = build_detector("yolov8", "n", width=0.25, depth=0.25, classes=["box"], seed=0)
        ProgressiveCallback(SCHEDULE, train_faster=False).attach(model)
        return model, {"data": tiny_data, "amp": False, "warmup_epochs": 0, "nbs": 4, **fast}

    class Stop(Exception):
        pass

    def stop(trainer):
        if trainer.epoch == 1:
            raise Stop

    model, arguments = begin()
    model.add_callback("on_fit_epoch_end", stop)
    with pytest.raises(Stop):
        model.train(project=str(tmp_path), name="r", **arguments)
    last = tmp_path / "r" / "weights" / "last.pt"
    evil = torch.load(last, weights_only=False)
    evil["train_args"] |= {"data": "evil.yaml", "lr0": 0.9, "model": "evil.pt", "box": 99.0}
    for group in evil["optimizer"]["param_groups"]:
        group |= {"lr": 9.0, "initial_lr": 9.0, "betas": (0.0, 0.0), "weight_decay": 9.0}
    torch.save(evil, last)
    saved = read_checkpoint(last)
    seen = {}

    def look(trainer):
        state = trainer.optimizer.state_dict()
        seen.update(epoch=trainer.epoch, args=vars(trainer.args).copy(), state=state["state"])
        seen.update(groups=state["param_groups"], ema=trainer.ema.ema.state_dict())
        seen.update(updates=trainer.ema.updates)
        seen["ema"] = {name: value.clone() for name, value in seen["ema"].items()}
        raise Stop

    model, arguments = begin()
    model.add_callback("on_train_batch_start", look)
    trainer = going_on(trainer_of(model), saved)
    with pytest.raises(Stop):
        model.train(save_dir=str(tmp_path / "r"), trainer=trainer, **arguments)
    assert seen["epoch"] == 2
    assert (seen["args"]["data"], seen["args"]["box"]) == (str(tiny_data), 7.5)
    assert seen["updates"] == evil["updates"] == saved.updates
    assert all(group["lr"] < 0.1 and group["weight_decay"] < 0.1 for group in seen["groups"])
    assert all(group["betas"] == (0.9, 0.999) for group in seen["groups"])
    for name, value in evil["ema"].float().state_dict().items():
        assert torch.equal(seen["ema"][name], value), name
    assert seen["state"].keys() == evil["optimizer"]["state"].keys()
    first = evil["optimizer"]["state"][0]
    assert torch.equal(seen["state"][0]["exp_avg"], first["exp_avg"])
    assert (tmp_path / "r" / "results.csv").read_text().count("\n") == 3  # not begun anew

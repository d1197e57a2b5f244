"""Models as they are: loaded through the safe door, refused where they would run others' code."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn
from ultralytics import RTDETR, YOLO

from progressive.detectors import build_detector
from progressive.detectors.model_file import shipped_yaml
from progressive.detectors.stock import (
    largest_stride,
    load_model,
    rebuild,
    write_architecture_to,
)
from progressive.errors import InputError


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_weights_are_loaded_as_they_are():
    made = YOLO("yolo11n-seg.yaml")
    made.save("mine.pt")
    model = load_model("mine.pt")
    assert (type(model), model.task) == (YOLO, "segment")
    for name, value in model.model.state_dict().items():
        assert torch.equal(value.half(), made.model.state_dict()[name].half())


@pytest.mark.parametrize("name", ["yolov8n.yaml", "yolo11s-pose.yaml", "yolo26n-cls.yaml"])
def test_yamls_that_ultralytics_ships(name):
    assert load_model(name).model_name == name


def test_rtdetr_is_an_rtdetr():
    assert type(load_model("rtdetr-l.yaml")) is RTDETR


def test_our_own_detectors_and_their_yaml():
    ours = build_detector("yolov8", "n", width=0.25, depth=0.25, classes=3)
    ours.save("ours.pt")
    assert load_model("ours.pt").model.model[0].channels == ours.model.model[0].channels


@pytest.mark.parametrize("backbone", ["resnet50", "darknet53"])
def test_layers_of_timm_may_hold_a_format_of_tensors(backbone):
    build_detector("yolov8", "n", backbone, classes=3).save("ours.pt")
    assert load_model("ours.pt").task == "detect"


def test_the_stride_that_sizes_are_multiples_of():
    assert largest_stride("yolov8n.yaml") == 32
    assert largest_stride("yolov8n-p6.yaml") == 64


class Hostile:
    def __reduce__(self):
        return os.system, ("touch ran",)


def save_with_yaml(change, path="bad.pt"):
    model = YOLO("yolov8n.yaml")
    change(model.model)
    model.save(path)
    return path


def set_yaml(key, value):
    def change(model):
        model.yaml[key] = value

    return change


def test_weights_that_call_anything_are_refused(tmp_path):
    torch.save({"model": YOLO("yolov8n.yaml").model, "names": Hostile()}, "bad.pt")
    with pytest.raises(InputError, match="system"):
        load_model("bad.pt")
    assert not Path("ran").exists()


def test_weights_that_need_code_from_elsewhere_are_refused_with_the_reason(monkeypatch):
    elsewhere = ModuleType("somebodys.layers")
    elsewhere.Layer = type("Layer", (nn.Identity,), {"__module__": elsewhere.__name__})
    monkeypatch.setitem(sys.modules, "somebodys", ModuleType("somebodys"))
    monkeypatch.setitem(sys.modules, elsewhere.__name__, elsewhere)
    save_with_yaml(lambda model: model.model[3].add_module("extra", elsewhere.Layer()))
    with pytest.raises(
        InputError, match=r"bad\.pt: names somebodys\.layers\.Layer, which is not a"
    ):
        load_model("bad.pt")


CODE = "__import__('pathlib').Path('ran').touch() or nn.SiLU()"


@pytest.mark.parametrize(
    "activation",
    [CODE, "nn.Module.__subclasses__()", "print('a')", "nn.ReLU", "nn.ReLU(open('ran', 'w'))", "5"],
)
def test_an_activation_that_is_code_is_refused(activation, tmp_path):
    """Ultralytics evaluates it, in weights too: training builds their model again."""
    text = shipped_yaml("yolov8n.yaml").read_text()
    Path("yolov8n-mine.yaml").write_text(f'{text}\nactivation: "{activation}"\n')
    save_with_yaml(set_yaml("activation", activation))
    for name in ("yolov8n-mine.yaml", "bad.pt"):
        with pytest.raises(InputError, match=r"activation=.*: must be a layer of torch.nn, as nn"):
            load_model(name)
    assert not Path("ran").exists()


@pytest.mark.parametrize("activation", ["nn.ReLU()", "torch.nn.LeakyReLU(0.1)", "nn.SiLU()"])
def test_a_plain_activation_will_do(activation):
    text = shipped_yaml("yolov8n.yaml").read_text()
    Path("yolov8n-mine.yaml").write_text(f"{text}\nactivation: {activation}\n")
    model = load_model("yolov8n-mine.yaml").model
    assert any(type(m).__name__ in activation for m in model.modules())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("[-1, 1, MyBlock, [64]]", "names the layer MyBlock, which Ultralytics does not have"),
        ("[-1, 1, nn.NoSuch, [64]]", r"names the layer nn\.NoSuch"),
        ("[-1, 1, torch_safe_load, [other.pt]]", "names the layer torch_safe_load"),
        ("[-1, 1, nn.init, [64]]", r"names the layer nn\.init"),
        ("[-1, 1, TorchVision, [64, resnet18, DEFAULT, True, 2]]", "TorchVision would fetch"),
        ("[-1, 1, TorchVision, [64, resnet18]]", "TorchVision would fetch"),
        ("[-1, 1, Conv, [64, 3, 3, 3, 3, 3, 3, 3, 3]]", "cannot be built: "),
    ],
)
def test_a_yaml_with_a_layer_that_will_not_do_is_one_line(row, message):
    Path("mine.yaml").write_text(
        f"nc: 2\nbackbone:\n  - {row}\nhead:\n  - [[-1], 1, Detect, [nc]]\n"
    )
    with pytest.raises(InputError, match=message) as error:
        load_model("mine.yaml")
    assert "\n" not in str(error.value)


class Trained:
    """Stands for a trainer that has taken weights for 80 classes on for two."""

    def __init__(self, source, classes):
        kind = type(source.model)
        more = {"data_kpt_shape": (4, 2)} if source.task == "pose" else {}
        self.model = kind(source.model.yaml, nc=classes, ch=3, verbose=False, **more)
        self.model.load(source.model, verbose=False)


@pytest.mark.parametrize(
    "name",
    [
        *("yolo11n.yaml", "yolov8s.yaml", "yolov10n.yaml", "yolo26n.yaml", "yolo11n-seg.yaml"),
        *("yolo11n-pose.yaml", "yolo11n-obb.yaml", "yolo11n-cls.yaml", "yolo26n-sem.yaml"),
    ],
)
def test_an_architecture_is_built_again_tensor_by_tensor(name, tmp_path):
    source = YOLO(name)
    trained = Trained(source, 2)
    write_architecture_to(tmp_path / "model.yaml")(trained)
    again = rebuild(tmp_path / "model.yaml", source.task, ["a", "b"], 0)
    assert again.task == source.task
    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (trained.model, again.model)]
    assert shapes[0] == shapes[1]
    assert again.model.names == {0: "a", 1: "b"}


def test_our_own_architecture_is_built_again(tmp_path):
    source = build_detector("rtdetr", "l", width=0.25, depth=0.25, classes=3, channels=4)
    trained = type("Trainer", (), {"model": source.model})()
    write_architecture_to(tmp_path / "model.yaml")(trained)
    again = rebuild(tmp_path / "model.yaml", "detect", ["a", "b", "c"], 0)
    assert type(again) is RTDETR
    assert again.model.state_dict().keys() == source.model.state_dict().keys()


def test_an_architecture_that_is_code_is_refused(tmp_path):
    write_architecture_to(tmp_path / "model.yaml")(Trained(YOLO("yolov8n.yaml"), 2))
    text = (tmp_path / "model.yaml").read_text()
    (tmp_path / "model.yaml").write_text(f'{text}activation: "{CODE}"\n')
    with pytest.raises(InputError, match="must be a layer of"):
        rebuild(tmp_path / "model.yaml", "detect", ["a", "b"], 0)
    assert not (tmp_path / "ran").exists()

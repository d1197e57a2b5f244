"""A checkpoint that would run code is refused before any of it runs."""

from __future__ import annotations

import os
import sys
import zipfile
from types import ModuleType

import pytest
import timm
import torch
from torchvision.transforms import InterpolationMode
from ultralytics.nn.autobackend import AutoBackend

from progressive.detectors import build_detector
from progressive.errors import InputError
from progressive.safe_loading.checkpoints import load_layers, names_in, read_checkpoint

both = pytest.mark.parametrize("read", [load_layers, read_checkpoint])


class Hostile:
    def __reduce__(self):
        return os.system, ("touch ran",)


@both
@pytest.mark.parametrize("where", ["model", "train_args"])
def test_code_in_a_checkpoint_never_runs(read, where, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"epoch": 1, where: Hostile()}, "last.pt")
    with pytest.raises(InputError, match="system, which is not a layer of a detector") as error:
        read(tmp_path / "last.pt")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "ran").exists()


class Forged:
    """Pickles as a call of a layer's constructor, which reads another file."""

    def __reduce__(self):
        return AutoBackend, ("other.pt",)


@both
def test_a_layer_is_never_called(read, tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(AutoBackend, "__init__", lambda self, *_: called.append(self))
    torch.save({"epoch": 1, "model": Forged()}, tmp_path / "last.pt")
    with pytest.raises(InputError, match="calls AutoBackend, which no saved detector does"):
        read(tmp_path / "last.pt")
    assert not called


@pytest.fixture(scope="module")
def small():
    return build_detector("yolov8", "n", width=0.25, depth=0.25, classes=["a", "b"])


@both
def test_a_file_that_is_not_a_checkpoint(read, small, tmp_path):
    small.save(tmp_path / "whole.pt")
    whole = (tmp_path / "whole.pt").read_bytes()
    with (
        zipfile.ZipFile(tmp_path / "whole.pt") as archive,
        zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in archive.namelist():
            packed.writestr(name, archive.read(name))
    damaged = {
        "text": b"not a checkpoint",
        "empty": b"",
        "cut off": whole[: len(whole) // 2],
        "without its end": whole[:-30],
        "packed": (tmp_path / "packed.pt").read_bytes(),
    }
    for kind, content in damaged.items():
        (tmp_path / "last.pt").write_bytes(content)
        with pytest.raises(InputError, match=r"last.pt: is not a checkpoint that can be") as error:
            read(tmp_path / "last.pt")
        assert "miniz" not in str(error.value), kind
    with pytest.raises(InputError, match="is not a checkpoint that can be read"):
        read(tmp_path)


def test_our_own_checkpoint_is_loaded(small, tmp_path):
    small.save(tmp_path / "last.pt")
    loaded = load_layers(tmp_path / "last.pt")
    assert loaded["model"].names == {0: "a", 1: "b"}


@pytest.mark.parametrize("name", ["convnext_atto", "mobilenetv3_small_050"])
def test_what_a_model_holds_besides_layers_is_known(name, tmp_path):
    model = timm.create_model(name, features_only=True)
    torch.save({"epoch": 3, "ema": model}, tmp_path / "last.pt")
    known = names_in(model)
    found = read_checkpoint(tmp_path / "last.pt", known)
    found.check_fits(model)
    load_layers(tmp_path / "last.pt", known=known)


def test_nothing_of_the_standard_library_is_known(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = torch.nn.Linear(2, 2)
    model.extra = [getattr(model, "forward"), os.path.join, Hostile()]  # noqa: B009
    assert names_in(model) == {"torch.nn.modules.linear.Linear"}
    torch.save({"epoch": 3, "ema": model}, tmp_path / "last.pt")
    with pytest.raises(InputError, match="not a layer of a detector"):
        load_layers(tmp_path / "last.pt", known=names_in(model))
    assert not (tmp_path / "ran").exists()


def test_tensors_and_counters_are_those_that_were_saved(small, tmp_path):
    optimizer = torch.optim.AdamW(small.model.parameters())
    for parameter in small.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    stopper = {"best_fitness": 0.25, "best_epoch": 2}
    saved = {"epoch": 3, "ema": small.model, "updates": 7, "best_fitness": 0.25}
    saved |= {"optimizer": optimizer.state_dict(), "stopper": stopper, "scaler": {"scale": 2.0}}
    torch.save({**saved, "train_args": {"data": "evil.yaml"}}, tmp_path / "last.pt")
    found = read_checkpoint(tmp_path / "last.pt")
    assert (found.epoch, found.updates, found.best_fitness) == (3, 7, 0.25)
    assert (found.stopper, found.scaler) == (stopper, {"scale": 2.0})
    wanted = small.model.state_dict()
    assert found.weights.keys() == wanted.keys()
    assert all(torch.equal(found.weights[name], value) for name, value in wanted.items())
    state = optimizer.state_dict()["state"]
    assert found.optimizer.keys() == state.keys()
    assert torch.equal(found.optimizer[0]["exp_avg"], state[0]["exp_avg"])
    found.check_fits(small.model)
    other = build_detector("yolov8", "n", width=0.25, depth=0.25, classes=3)
    with pytest.raises(InputError, match="is of another model than"):
        found.check_fits(other.model)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"epoch": float("nan")}, "epoch must be a whole number"),
        ({"epoch": "3"}, "epoch must be a whole number"),
        ({"best_fitness": float("inf")}, "best_fitness must be a number"),
        ({"stopper": {"best_epoch": "x"}}, "stopper.best_epoch must be a number"),
        ({"optimizer": {"state": {0: {"step": "x"}}}}, "optimizer must be a number"),
        ({"optimizer": [1]}, "is not a checkpoint that can be read"),
        ({"ema": {"weight": torch.ones(1)}}, "holds no model"),
    ],
)
def test_what_is_no_number_is_refused(small, part, message, tmp_path):
    torch.save({"epoch": 3, "ema": small.model, **part}, tmp_path / "last.pt")
    with pytest.raises(InputError, match=message):
        read_checkpoint(tmp_path / "last.pt")


def test_weights_that_are_not_numbers_are_refused(tmp_path):
    model = torch.nn.Linear(2, 2)
    model.bias.data[1] = float("nan")
    torch.save({"epoch": 3, "ema": model}, tmp_path / "last.pt")
    with pytest.raises(InputError, match="bias holds NaN or infinity"):
        read_checkpoint(tmp_path / "last.pt")


@both
def test_layers_of_an_earlier_version_are_named_as_such(read, tmp_path, monkeypatch):
    module = ModuleType("progressive.detectors.gradient_path_layers")
    module.Branched = type("Branched", (torch.nn.Module,), {"__module__": module.__name__})
    monkeypatch.setitem(sys.modules, module.__name__, module)
    torch.save({"epoch": 1, "model": module.Branched()}, tmp_path / "last.pt")
    with pytest.raises(InputError, match=r"last\.pt: was written by an earlier version"):
        read(tmp_path / "last.pt")


class Attribute:
    """Pickles as an attribute of something, as Python 3.11.0 to 3.11.3 write an enumeration."""

    def __init__(self, owner, name):
        self.owner, self.name = owner, name

    def __reduce__(self):
        return getattr, (self.owner, self.name)


def test_a_member_of_an_enumeration_as_python_3_11_2_writes_it(tmp_path):
    torch.save({"epoch": 1, "mode": Attribute(InterpolationMode, "BILINEAR")}, tmp_path / "last.pt")
    assert load_layers(tmp_path / "last.pt")["mode"] is InterpolationMode.BILINEAR


@pytest.mark.parametrize("owner", [AutoBackend, torch.nn.Conv2d])
def test_no_other_attribute_is_read(owner, tmp_path):
    torch.save({"epoch": 1, "model": Attribute(owner, "forward")}, tmp_path / "last.pt")
    with pytest.raises(InputError, match=r"names builtins\.getattr, which is not a layer"):
        load_layers(tmp_path / "last.pt")


class Changed:
    """Pickles as a call of an enumeration whose result is then given another value."""

    def __reduce__(self):
        return InterpolationMode, ("bilinear",), {"_value_": "changed"}


@both
def test_a_member_of_an_enumeration_cannot_be_changed(read, tmp_path):
    torch.save({"epoch": 1, "model": Changed()}, tmp_path / "last.pt")
    with pytest.raises(InputError, match="changes a member of an enumeration"):
        read(tmp_path / "last.pt")
    assert InterpolationMode.BILINEAR.value == "bilinear"

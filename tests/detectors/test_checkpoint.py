"""A checkpoint that would run code is refused before any of it runs."""

from __future__ import annotations

import os

import pytest
import torch
from ultralytics.nn.autobackend import AutoBackend

from progressive.detectors import build_detector
from progressive.detectors.checkpoint import load_detector
from progressive.errors import InputError


class Hostile:
    def __reduce__(self):
        return os.system, ("touch ran",)


@pytest.mark.parametrize("where", ["model", "train_args"])
def test_code_in_a_checkpoint_never_runs(where, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"epoch": 1, where: Hostile()}, "last.pt")
    with pytest.raises(InputError, match="system, which is not a layer of a detector") as error:
        load_detector(tmp_path / "last.pt")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "ran").exists()


class Forged:
    """Pickles as a call of a layer's constructor, which reads another file."""

    def __reduce__(self):
        return AutoBackend, ("other.pt",)


def test_a_layer_is_never_called(tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(AutoBackend, "__init__", lambda self, *_: called.append(self))
    torch.save({"epoch": 1, "model": Forged()}, tmp_path / "last.pt")
    with pytest.raises(InputError, match="calls AutoBackend, which no saved detector does"):
        load_detector(tmp_path / "last.pt")
    assert not called


def test_a_file_that_is_not_a_checkpoint(tmp_path):
    (tmp_path / "last.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match=r"last.pt: is not a checkpoint that can be read"):
        load_detector(tmp_path / "last.pt")


def test_our_own_checkpoint_is_loaded(tmp_path):
    saved = build_detector("yolov8", "n", width=0.25, depth=0.25, classes=["a", "b"])
    saved.save(tmp_path / "last.pt")
    loaded = load_detector(tmp_path / "last.pt")
    assert loaded.model.names == {0: "a", 1: "b"}

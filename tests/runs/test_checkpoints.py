"""Checkpoints as files: whole or not at all, verified, two of them kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from progressive.hosts.ultralytics.checkpoints.packing import pack, unpack
from progressive.runs import checkpoints

STATE = {
    "tensors": {"a": torch.arange(5.0), "empty": torch.zeros(0), "one": torch.tensor(1.5)},
    "pairs": {0: {"step": torch.tensor(3)}, 1: None},
    "numbers": [0.1 + 0.2, float("inf"), 2**127 + 1, True, None, "text"],
    "tuple": (3, (1, 2)),
}


def write(folder, epoch, batch=0, **more):
    name = checkpoints.name_of(epoch, batch)
    return checkpoints.write(folder, name, pack({**STATE, "epoch": epoch, **more}))


def test_what_is_read_is_what_was_written(tmp_path):
    found = unpack(checkpoints.read(write(tmp_path, 3, 4)))
    assert found["epoch"] == 3
    assert found["numbers"] == STATE["numbers"]
    assert found["tuple"] == STATE["tuple"]
    assert list(found["pairs"]) == [0, 1]
    for name, tensor in STATE["tensors"].items():
        assert torch.equal(found["tensors"][name], tensor)
        assert found["tensors"][name].dtype == tensor.dtype


def test_tensors_that_share_memory(tmp_path):
    whole = torch.arange(6.0)
    path = write(tmp_path, 1, views=[whole, whole[:3], whole])
    views = unpack(checkpoints.read(path))["views"]
    assert [view.tolist() for view in views] == [whole.tolist(), [0, 1, 2], whole.tolist()]


def test_what_json_cannot_hold_is_a_defect_of_ours():
    with pytest.raises(TypeError, match="thing: a checkpoint cannot hold a object"):
        pack({"thing": object()})


def test_the_last_two_are_kept(tmp_path):
    for epoch in range(4):
        write(tmp_path, epoch)
        write(tmp_path, epoch, 10)
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == [checkpoints.name_of(3, 0), checkpoints.name_of(3, 10)]
    assert checkpoints.newest(tmp_path)[0].position == (3, 10)


def test_of_a_hundred_thousand_epochs_the_newest_is_found(tmp_path):
    write(tmp_path, 99_999)
    write(tmp_path, 100_000)
    assert checkpoints.newest(tmp_path)[0].position == (100_000, 0)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:4],
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: content[:-4] + b"\0" * 4,
        lambda content: content + b"\0",
        lambda content: b"\0" * len(content),
        lambda content: b"\xff" * 8 + content[8:],
        lambda content: content.replace(b'"sha256":"', b'"sha256":"f', 1),
        lambda content: content.replace(b'\\"epoch\\": 2', b'\\"epoch\\": 3', 1),
        lambda content: b"{}" + content,
    ],
)
def test_a_damaged_one_is_recognised_and_the_one_before_is_used(tmp_path, damage):
    write(tmp_path, 1)
    newest = write(tmp_path, 2)
    content = newest.read_bytes()
    damaged = damage(content)
    assert damaged != content
    newest.write_bytes(damaged)
    found, complaints = checkpoints.newest(tmp_path)
    assert found.position == (1, 0)
    assert [line.count("\n") for line in complaints] == [0]
    assert str(newest) in complaints[0]
    write(tmp_path, 1, 5)  # the resumed run
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == [checkpoints.name_of(1, 0), checkpoints.name_of(1, 5)]


def test_none_that_is_whole(tmp_path):
    assert checkpoints.newest(tmp_path) == (None, [])
    assert not checkpoints.exists(tmp_path)
    write(tmp_path, 1).write_bytes(b"")
    assert checkpoints.exists(tmp_path)
    assert checkpoints.newest(tmp_path)[0] is None


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_one_before(tmp_path, monkeypatch, call):
    before = write(tmp_path, 1)
    content = before.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path, 2)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == [before.name]
    assert before.read_bytes() == content


def test_a_damaged_file_of_pytorch_is_recognised(tmp_path):
    path = tmp_path / "best.pt"
    torch.save({"a": torch.ones(10_000)}, path)
    assert checkpoints.is_whole(path)
    content = path.read_bytes()
    for damaged in (b"", content[:-10], content[:5000] + b"\0" * 4096 + content[9096:]):
        path.write_bytes(damaged)
        assert not checkpoints.is_whole(path)
    assert not checkpoints.is_whole(tmp_path / "none.pt")

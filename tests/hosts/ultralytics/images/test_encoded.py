"""Files in one buffer of memory."""

from __future__ import annotations

import pickle
from multiprocessing.reduction import ForkingPickler

import pytest
import torch.multiprocessing  # noqa: F401 - teaches the pickler to share tensors

from progressive.errors import InputError
from progressive.hosts.ultralytics.images import encoded
from progressive.hosts.ultralytics.images.encoded import EncodedImages


@pytest.fixture
def files(tmp_path):
    contents = (b"one", b"", b"\x00\xff" * 500)
    paths = [tmp_path / str(number) for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return paths


def test_content(files):
    images = EncodedImages(files)
    assert len(images) == 3
    assert [images[i].tobytes() for i in range(3)] == [file.read_bytes() for file in files]
    assert images[0].base is not None  # a view, not a copy


def test_processes_share_it(files):
    images = EncodedImages(files)
    other = pickle.loads(ForkingPickler.dumps(images))
    images[0][:] = 7
    assert other[0].tolist() == [7, 7, 7]


def test_half_of_the_free_memory_is_the_limit(files, monkeypatch):
    monkeypatch.setattr(encoded, "available_memory", lambda: 2 * 1003)
    assert len(EncodedImages(files)) == 3
    message = "^cache=encoded: the 3 image files need 0.00 GB, more than half of the 0.00 GB"
    with pytest.raises(InputError, match=message):
        EncodedImages(files, copies=2)

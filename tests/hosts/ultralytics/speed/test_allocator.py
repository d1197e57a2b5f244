"""Memory that stays with the process: pages are not cleared again for every step."""

from __future__ import annotations

import ctypes
import resource

import pytest
import torch

from progressive.hosts.ultralytics.speed.allocator import keep_freed_memory

SIZE = 64 * 2**20


def new_pages():
    """Return how many pages the system had to provide for blocks used one after the other."""
    torch.ones(SIZE, dtype=torch.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.ones(SIZE, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="no GNU C library")
def test_large_blocks_are_used_again():
    page = resource.getpagesize()
    restore = keep_freed_memory()
    kept = new_pages()
    restore()
    assert kept < 0.1 * 5 * SIZE / page
    assert new_pages() > 10 * max(kept, 1)


def test_other_c_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    keep_freed_memory()()

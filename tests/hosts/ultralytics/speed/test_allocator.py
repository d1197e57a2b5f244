"""Memory that stays with the process: pages are not cleared again for every step."""

from __future__ import annotations

import ctypes
import resource
import statistics

import pytest
import torch

from progressive.hosts.ultralytics.speed.allocator import keep_freed_memory

SIZE = 64 * 2**20


def new_pages():
    """Return how many pages the system had to provide for each of several blocks."""
    pages = []
    for _ in range(7):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(SIZE, dtype=torch.uint8)
        pages.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    return pages


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="no GNU C library")
def test_large_blocks_are_used_again():
    block = SIZE / resource.getpagesize()
    restore = keep_freed_memory()
    kept = new_pages()
    restore()
    assert statistics.median(kept) < 0.1 * block
    assert new_pages()[0] > 0.9 * block  # what was kept has been given back


def test_other_c_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    keep_freed_memory()()

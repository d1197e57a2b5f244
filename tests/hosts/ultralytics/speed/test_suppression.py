"""Suppression class by class keeps what one call keeps, and leaves the rest alone."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch
import torchvision
from ultralytics.utils.nms import non_max_suppression

from progressive.hosts.ultralytics.speed import suppression


@contextmanager
def class_by_class():
    undo = suppression.suppress_by_class()
    try:
        yield
    finally:
        undo()


def untrained(classes: int, boxes: int = 400) -> torch.Tensor:
    """Predictions (2, 4 + classes, boxes) of a detector that finds everything everywhere."""
    generator = torch.Generator().manual_seed(0)
    place = torch.rand(2, 2, boxes, generator=generator) * 640
    size = torch.rand(2, 2, boxes, generator=generator) * 200
    # Few different scores, so that the order of equal ones counts.
    scores = torch.randint(2, 20, (2, classes, boxes), generator=generator) / 20
    return torch.cat((place, size, scores), dim=1)


@pytest.mark.parametrize("agnostic", [False, True])
@pytest.mark.parametrize("classes", [1, 10])
def test_the_same_boxes_in_the_same_order(monkeypatch, classes, agnostic):
    options = {"conf_thres": 0.001, "iou_thres": 0.5, "multi_label": True, "max_det": 5000}
    options["agnostic"] = agnostic
    expected = non_max_suppression(untrained(classes), **options)
    monkeypatch.setattr(suppression, "FEWEST", 100)
    calls = []
    at_once = torchvision.ops.nms
    monkeypatch.setattr(torchvision.ops, "nms", lambda *a: calls.append(len(a[0])) or at_once(*a))
    with class_by_class():
        found = non_max_suppression(untrained(classes), **options)
    assert all(len(boxes) for boxes in expected)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert len(calls) == (2 if agnostic else 2 * classes)


def test_boxes_between_two_places_go_through_one_call(monkeypatch):
    monkeypatch.setattr(suppression, "FEWEST", 1)
    edge = suppression.CLASS_OFFSET / 2
    boxes = torch.tensor([[edge - 10, 0, edge + 10, 10], [edge - 9, 0, edge + 11, 10]])
    with class_by_class():
        assert torchvision.ops.nms(boxes, torch.tensor([0.5, 0.6]), 0.5).tolist() == [1]


def test_it_is_undone():
    before = torchvision.ops.nms
    with class_by_class():
        assert torchvision.ops.nms is not before
    assert torchvision.ops.nms is before

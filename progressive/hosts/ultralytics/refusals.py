"""Ultralytics settings under which a progressive schedule cannot hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from progressive.schedule import ProgressiveSchedule


def refusal(
    arguments: Mapping[str, Any], schedule: ProgressiveSchedule | None = None
) -> str | None:
    """Return why training with these Ultralytics arguments is impossible, or None.

    The sentence begins with `argument=value`.

    Args:
        arguments: by name; those left out have Ultralytics' defaults.
        schedule: to be followed, if it is known.
    """
    cache = arguments.get("cache")
    # A classification data set caches images as they are on disk.
    if (cache is True or cache == "ram") and arguments.get("task") != "classify":
        return (
            f"cache={cache}: keeps images at the size they were first loaded at, so later stages "
            "would train on small pixels; use cache=disk, or cache_encoded=True of the callback"
        )
    if arguments.get("multi_scale"):
        return (
            f"multi_scale={arguments['multi_scale']}: resizes batches at random and would overrule "
            "the size of each stage; leave it at 0"
        )
    if arguments.get("rect"):
        return (
            "rect=True: fixes the shape of every batch when training starts, so the size could "
            "not rise; leave it False"
        )
    if arguments.get("time") is not None:
        return (
            f"time={arguments['time']}: changes the number of epochs while training, so stages "
            "would not end where planned; set epochs instead, or budget.minutes of progressive.run"
        )
    if arguments.get("mixup") and (schedule is None or schedule.uses("mixup")):
        return (
            f"mixup={arguments['mixup']}: the schedule sets mixup in every stage; "
            "give it to the schedule instead"
        )
    if arguments.get("dropout") and schedule is not None and schedule.uses("dropout_rate"):
        return (
            f"dropout={arguments['dropout']}: the schedule sets dropout in every stage; "
            "give it to the schedule only, or leave it out there"
        )
    if arguments.get("task") == "classify" and schedule is not None and schedule.uses("mosaic"):
        return "task=classify: has no mosaic; leave mosaic out of the schedule"
    return None

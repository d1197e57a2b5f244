"""How Ultralytics checks images: files are only read, and a split without images is one line."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial, wraps
from typing import Any

from PIL import Image
from ultralytics.data import utils
from ultralytics.data.dataset import YOLODataset

from progressive.data.preflight.images import content_problem
from progressive.errors import InputError

#: What Ultralytics raises for a split that it cannot use.
REFUSALS = ("No valid images found", "No labels found", "requires equal numbers of boxes")

#: A colour of the terminal.
COLOUR = re.compile(r"\x1b\[[\d;]*m")


def check_without_writing() -> Callable[[], None]:
    """Let Ultralytics check images without writing to them; return what undoes it.

    It replaces a JPEG with bytes behind its end by a copy of other pixels. Here such a file stays
    as it is, if it can be decoded. An image that the check before training counts as unusable is
    left out as well, and a split that cannot be used ends in an InputError. Calling it again
    inside changes nothing.
    """
    stack = ExitStack()
    check, labels = utils.check_image, YOLODataset.get_labels
    if utils._replace_image is _leave_alone:
        return stack.close
    stack.callback(setattr, utils, "_replace_image", utils._replace_image)
    stack.callback(setattr, utils, "check_image", check)
    stack.callback(setattr, YOLODataset, "get_labels", labels)
    utils._replace_image = _leave_alone
    utils.check_image = partial(_checked, check)
    YOLODataset.get_labels = _refusing(labels)
    return stack.close


def _leave_alone(file: Any, write: Any) -> None:
    """Stand in for what would replace a file."""


def _checked(
    check: Callable[[str], tuple[str, tuple[int, int]]], file: str
) -> tuple[str, tuple[int, int]]:
    """Return what Ultralytics does of an image: nothing to say, and its (height, width).

    Raises:
        OSError: it cannot be decoded. Ultralytics raises other errors for other reasons.
    """
    _, shape = check(file)  # says that it has restored what it has not
    with Image.open(file) as image:
        problem = content_problem(file, image)
    if problem:
        raise OSError(problem)
    return "", shape


def _refusing(labels: Callable[[Any], list[dict]]) -> Callable[[Any], list[dict]]:
    @wraps(labels)
    def get_labels(dataset: Any) -> list[dict]:
        try:
            return labels(dataset)
        except (RuntimeError, ValueError) as error:
            if isinstance(error, InputError) or not any(said in str(error) for said in REFUSALS):
                raise
            raise InputError(f"{dataset.img_path}: {_first(str(error))}") from error

    return get_labels


def _first(message: str) -> str:
    """Return of a message, and the reasons that Ultralytics lists in further lines, the first."""
    said, *reasons = COLOUR.sub("", message).splitlines()
    return f"{said} For one: {reasons[0].strip()}" if len(reasons) > 1 else said

"""Find the names of timm's models without importing timm, because that loads torch."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from progressive.errors import InputError, suggest

#: How timm declares a model, with or without other decorators.
_DECLARATION = re.compile(r"^@register_model\n(?:@.*\n)*def (\w+)\(", re.MULTILINE)


def check_timm_name(name: str) -> None:
    """Raise InputError, with a similar name, unless timm has this model.

    Args:
        name: name of a model, with or without the tag of its weights (resnet18.a1_in1k). The tag is
            not checked.
    """
    model = name.partition(".")[0]
    known = timm_names()
    if model not in known:
        hint = suggest(model, known, "timm.list_models() lists what it has")
        raise InputError(f"timm has no model {name!r}; {hint}")


@cache
def timm_names() -> tuple[str, ...]:
    """Return the names of all models, read from timm's source files, in alphabetical order.

    Raises:
        InputError: timm is not installed.
    """
    found = find_spec("timm")
    if found is None or found.origin is None:
        raise InputError("timm: not installed; pip install progressive-learning installs it")
    sources = (Path(found.origin).parent / "models").glob("*.py")
    texts = (source.read_text("utf-8") for source in sources)
    return tuple(sorted(name for text in texts for name in _DECLARATION.findall(text)))

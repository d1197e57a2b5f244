"""A hook of mkdocs: tables of the command line, made from the code when the site is built."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from progressive.config.complaints import keys
from progressive.config.model import GROUPS, Config
from progressive.schedule import KNOBS

ROOT = Path(__file__).resolve().parents[1]


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put a table in place of every mark `<!-- table: NAME -->`."""
    return re.sub(r"<!-- table: (\w+) -->", lambda found: TABLES[found[1]](), markdown)


def _keys() -> str:
    rows = []
    for name, field in keys(Config).items():
        start = field.get_default(call_default_factory=True)
        rows.append((f"`{name}`", field.description or "", _written(start, field.is_required())))
    return _table(("key", "meaning", "default of the code"), rows)


def _groups() -> str:
    rows = []
    for name, sentence in GROUPS.items():
        options = sorted(path.stem for path in (ROOT / "conf" / name).glob("*.yaml"))
        rows.append((f"`{name}`", sentence, ", ".join(f"`{option}`" for option in options)))
    return _table(("group", "meaning", "files in `conf/`"), rows)


def _knobs() -> str:
    rows = [(f"`{k.key}`", k.label, k.help, f"{k.maximum:g}") for k in KNOBS]
    return _table(("key", "knob", "its values", "largest"), rows)


def _written(value: Any, required: bool) -> str:
    if required:
        return "by `conf/`"
    if value is None or isinstance(value, bool):
        return f"`{json.dumps(value)}`"
    return f"`{[] if value == () else value}`"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in r)} |" for r in lines
    )


TABLES = {"keys": _keys, "groups": _groups, "knobs": _knobs}

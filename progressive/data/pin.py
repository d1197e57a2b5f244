"""Make what was checked be what Ultralytics trains on.

Ultralytics reads a relative `path` from the working folder or from a folder in its settings, not
from the yaml's, and executes the yaml's `download` when it finds no images there. Such a yaml is
not handed over: a copy is, with `path` absolute and without `download`.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path

import yaml

from progressive.data.detection import DatasetInfo, read_yaml
from progressive.data.embedded.cache import unwritable


def pin(info: DatasetInfo, folder: Path) -> DatasetInfo:
    """Return `info` with a yaml that Ultralytics cannot read in any other way.

    That is the user's own file where possible, otherwise a copy written to `folder`, under a name
    that depends on its content.

    Raises:
        OSError: `folder` cannot be written.
    """
    data = read_yaml(info.source)
    relative = data.get("path") and not Path(data["path"]).is_absolute()
    if not relative and "download" not in data:
        return info
    pinned = {key: value for key, value in data.items() if key != "download"}
    pinned["path"] = str(info.root)
    text = f"# Copy of {str(info.source)!r}: path made absolute, download removed.\n"
    text += yaml.safe_dump(pinned, sort_keys=False, allow_unicode=True)
    name = f"{info.source.stem}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.yaml"
    _write_whole(folder / name, text)
    return replace(info, source=(folder / name).absolute())


def _write_whole(file: Path, text: str) -> None:
    """Write `file` so that no other process ever reads half of it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".pin.", dir=file.parent) as scratch:
            made = Path(scratch) / file.name
            made.write_text(text, "utf-8")
            made.replace(file)
    except OSError as error:
        raise unwritable(file.parent, error) from error

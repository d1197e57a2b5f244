"""Make sure that Ultralytics trains on exactly what was checked.

Ultralytics reads a relative `path` from the working folder or from a folder in its settings, not
from the folder of the yaml. If it finds no images there, it executes the yaml's `download` field.
Such a yaml is replaced by a copy with an absolute `path` and without `download`.
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
    """Return `info` with a yaml that Ultralytics reads exactly as it was checked.

    This is the user's own file where possible. Otherwise it is a copy in `folder`, with a hash of
    its content in its name.

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
    """Write `file` in one step: no other process ever reads half of it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".pin.", dir=file.parent) as scratch:
            made = Path(scratch) / file.name
            made.write_text(text, "utf-8")
            made.replace(file)
    except OSError as error:
        raise unwritable(file.parent, error) from error

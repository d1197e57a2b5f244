"""Find a model that a user names, and what it is for, without loading torch.

A model is weights that Ultralytics has written (.pt), or a model yaml. Nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import yaml

from progressive.errors import InputError, nearest
from progressive.safe_loading.pickles import Placeholder, read_names

YAML_SUFFIXES = (".yaml", ".yml")

#: Ultralytics' classes of models, by what they are for.
MODELS = {
    "DetectionModel": "detect",
    "YOLOv10DetectionModel": "detect",
    "RTDETRDetectionModel": "detect",
    "SegmentationModel": "segment",
    "PoseModel": "pose",
    "OBBModel": "obb",
    "ClassificationModel": "classify",
    "SemanticSegmentationModel": "semantic",
}

#: Beginnings of the name of a yaml's last layer, by what it is for; the first that fits counts.
HEADS = {
    "SemanticSegment": "semantic",
    "Segment": "segment",
    "Pose": "pose",
    "OBB": "obb",
    "Classify": "classify",
    "Detect": "detect",
    "v10Detect": "detect",
    "RTDETRDecoder": "detect",
}


def find_model(name: str) -> Path:
    """Return the file of a model: an absolute path, or the name of a yaml that Ultralytics ships.

    Raises:
        InputError: there is no such file; says where to put it.
    """
    if "://" in name or name.startswith("ul:"):
        raise InputError(f"model={name}: is remote and nothing is fetched; give the path of a file")
    path = Path(name).expanduser()
    if path.is_dir():
        raise InputError(f"model={name}: is a folder; give weights (.pt) or a model yaml")
    if not path.suffix and shipped_yaml(f"{name}.yaml"):
        raise InputError(
            f"model={name}: give {name}.pt to start from weights that lie there, or {name}.yaml to "
            "train from scratch"
        )
    if path.suffix.lower() not in (".pt", *YAML_SUFFIXES):
        raise InputError(
            f"model={name}: must be weights of Ultralytics (.pt) or a model yaml; what is exported "
            "to another format cannot be trained"
        )
    if path.is_file():
        return path.absolute()
    if shipped_yaml(name):
        return Path(name)
    raise InputError(f"model={name}: no such file; {_advice(path)}")


def shipped_yaml(name: str) -> Path | None:
    """Return a yaml of the installed Ultralytics, where yolo11n.yaml is yolo11.yaml at scale n."""
    spec = find_spec("ultralytics")
    if Path(name).name != name or spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "cfg" / "models"
    for known in (name, re.sub(r"(\d+)[nslmx](.+)?$", r"\1\2", name)):
        if found := sorted(folder.rglob(known)):
            return found[0]
    return None


def task_of(model: Path) -> str:
    """Return what a model is for: detect, classify, segment, pose, obb or semantic.

    Args:
        model: from `find_model`.

    Raises:
        InputError: the file cannot be read, or its model is for something else.
    """
    if model.suffix.lower() in YAML_SUFFIXES:
        last = str(read_model_yaml(model)["head"][-1][2])
        task = next((task for start, task in HEADS.items() if last.startswith(start)), None)
        said = f"ends in {last}"
    else:
        last = _class_of_weights(model)
        task, said = MODELS.get(last), f"holds a {last}"
    if task is None:
        raise InputError(
            f"model={model}: {said}, which cannot be trained here; models to detect, segment, "
            "classify, for pose, obb and semantic can"
        )
    return task


def read_model_yaml(model: Path) -> dict[str, Any]:
    """Return a model yaml.

    Raises:
        InputError: it cannot be read, or is no model yaml.
    """
    path = model if model.is_absolute() else shipped_yaml(str(model))
    try:
        found = yaml.safe_load((path or model).read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"model={model}: is no yaml that can be read: {reason}") from None
    parts = [found.get(part) for part in ("backbone", "head")] if isinstance(found, dict) else []
    rows = [row for part in parts if isinstance(part, list) for row in part]
    whole = len(parts) == 2 and all(isinstance(part, list) and part for part in parts)
    if not whole or not all(_is_layer(row) for row in rows):
        raise InputError(
            f"model={model}: is no model yaml, whose backbone and head are lists of layers, each "
            "[from, number, module, arguments]"
        )
    return found


def _is_layer(row: Any) -> bool:
    return (
        isinstance(row, list)
        and len(row) == 4
        and isinstance(row[2], str)
        and isinstance(row[3], list)
    )


def _advice(path: Path) -> str:
    folder, model = path.parent, f"{path.stem}.yaml"
    where = f"put it into {folder.absolute()} or give its path, since nothing is fetched"
    files = list(folder.iterdir()) if folder.is_dir() else []
    if close := nearest(path.name, [p.name for p in files if p.suffix in (".pt", *YAML_SUFFIXES)]):
        return f"{where} (did you mean {folder / close}?)"
    return f"{where}; model={model} starts from random weights" if shipped_yaml(model) else where


def _class_of_weights(model: Path) -> str:
    """Return the name of the class of the model in a checkpoint; nothing it names is loaded."""
    try:
        with ZipFile(model) as archive:
            (part,) = [name for name in archive.namelist() if name.endswith("data.pkl")]
            with archive.open(part) as stream:
                found = read_names(stream)
    except (OSError, BadZipFile) as error:
        raise InputError(f"model={model}: is not a checkpoint that can be read: {error}") from None
    except Exception as error:  # damaged bytes can raise anything
        reason = type(error).__name__
        raise InputError(f"model={model}: is not a checkpoint that can be read: {reason}") from None
    kept = found if isinstance(found, Mapping) else {}
    saved = kept.get("ema") or kept.get("model")
    if not isinstance(saved, Placeholder):
        raise InputError(
            f"model={model}: holds no model of Ultralytics; weights of a backbone alone are "
            "backbone.weights=FILE"
        )
    return type(saved).__name__

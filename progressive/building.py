"""The model that a configuration names: built, loaded, or built again for a run that resumes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from progressive.config.model import Config
from progressive.data import DatasetInfo
from progressive.errors import ConfigError
from progressive.machine import go_offline

if TYPE_CHECKING:
    from ultralytics.engine.model import Model

#: What a run keeps of the model of a file in its folder, to resume without the file.
ARCHITECTURE = "model.yaml"


def title(config: Config) -> str:
    """Say in a line what is trained on which data."""
    ending = f", data {config.data}, batch {config.batch}"
    backbone, head = config.backbone, config.head
    if backbone is None or head is None:
        return f"{Path(str(config.model)).name} ({config.task}){ending}"
    part = f" at width {backbone.width:g}, depth {backbone.depth:g}"
    scaled = part if (backbone.width, backbone.depth) != (1, 1) else ""
    detector = f"{head.name}{head.scale} with "
    kind = "classifier on " if config.task == "classify" else detector
    return f"{kind}{backbone.name}{scaled}{ending}"


def check_weights_and_model(config: Config) -> None:
    """Check that the files are there that a new run begins with, and that it can.

    Raises:
        InputError: no such file, a model that is refused, or sizes that it cannot take.
    """
    weights = config.backbone.weights if config.backbone is not None else None
    if weights is not None and not weights.is_file():
        raise ConfigError(f"backbone.weights={weights}: no such file")
    if config.model is not None:
        _check_sizes(config, config.model)


def _check_sizes(config: Config, model: str) -> None:
    """Load the model of a file once, and check that it can take the sizes of all stages."""
    go_offline()
    from progressive.detectors.stock import largest_stride

    stride = largest_stride(model)
    for stage in config.schedule().stages:
        if stage.image_size % stride:
            raise ConfigError(
                f"size: stage {stage.index + 1} would train at {stage.image_size} px, but "
                f"model={model} takes multiples of {stride}; choose size.min, size.max and stages "
                "so that all stages are"
            )


def build(config: Config, dataset: DatasetInfo) -> Model:
    """Build or load the detector or classifier of a configuration for a data set."""
    if config.model is not None:
        from progressive.detectors.stock import load_model

        return load_model(config.model)
    from progressive.detectors import build_classifier, build_detector

    backbone, head = config.backbone, config.head
    assert backbone is not None
    assert head is not None  # a configuration has them, or a model
    options: dict[str, Any] = {
        "width": backbone.width,
        "depth": backbone.depth,
        "variant": backbone.variant,
        "pretrained": backbone.pretrained,
        "weights": backbone.weights,
        "classes": dataset.names,
        "seed": config.seed,
    }
    if config.task == "classify":
        return build_classifier(backbone.key, **options)
    options["channels"] = dataset.channels
    return build_detector(head.name, head.scale, backbone.key, **options)


def keep_architecture(config: Config, model: Model, folder: Path) -> None:
    """Let the training of the model of a file leave its architecture in the run folder."""
    if config.model is not None:
        from progressive.detectors.stock import write_architecture_to

        model.add_callback("on_train_start", write_architecture_to(folder / ARCHITECTURE))


def rebuild(config: Config, dataset: DatasetInfo, folder: Path) -> Model:
    """Build the model of a run again, without the weights it began with."""
    if config.model is not None:
        from progressive.detectors.stock import rebuild as rebuild_stock

        path = folder / ARCHITECTURE
        if not path.is_file():
            raise ConfigError(f"resume={folder}: has no {ARCHITECTURE}")
        return rebuild_stock(path, config.task, dataset.names, config.seed)
    assert config.backbone is not None
    bare = config.backbone.model_copy(update={"weights": None, "pretrained": False})
    return build(config.model_copy(update={"backbone": bare}), dataset)

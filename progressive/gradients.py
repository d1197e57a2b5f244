"""Analyse the gradient paths of a backbone: ``python -m progressive.gradients backbone=elan``.

Print, per stage, the shortest and longest gradient path and the number of gradient timestamps and
sources, and draw them. `progressive.gradient_paths` says what these are.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from difflib import get_close_matches
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from tabulate import tabulate

from progressive.checks import ConfigError, boolean, choice, number, optional, suggest, text
from progressive.config import Key
from progressive.data.cache import cache_root
from progressive.detectors.catalog import BACKBONES, BackboneSpec
from progressive.errors import InputError
from progressive.machine import stay_offline

if TYPE_CHECKING:
    from torch import nn

    from progressive.gradient_paths import GradientPaths, StagePaths

#: Side of the images that are traced, in pixels; paths do not depend on it.
SIDE = 256

KEYS: dict[str, Key] = {
    "backbone": Key(text(), "A backbone of this project, or any timm model with feature maps."),
    "stop": Key(
        optional(choice(("identity", "block"))),
        "Stop the gradient on identities or on blocks, in the gradient-path designs.",
    ),
    "width": Key(number(0, 1, open_start=True), "Fraction of the backbone's channels."),
    "depth": Key(number(0, 1, open_start=True), "Fraction of the backbone's blocks."),
    "output": Key(
        optional(text()), "Picture (.png, .svg or .pdf); gradients-BACKBONE.png when not given."
    ),
    "json": Key(boolean(), "Print JSON, with every layer, instead of a table."),
}


def main() -> None:
    """Run the command line."""
    arguments = sys.argv[1:]
    if {"-h", "--help"} & set(arguments):
        print(help_text())
        return
    try:
        run(**parse(arguments))
    except InputError as error:
        print(f"progressive: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def parse(arguments: Sequence[str]) -> dict[str, Any]:
    """Read KEY=VALUE arguments.

    Raises:
        ConfigError: one line about the first mistake.
    """
    given: dict[str, Any] = {"stop": None, "width": 1, "depth": 1, "json": False}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals:
            raise ConfigError(f"{argument}: not an override; write KEY=VALUE")
        if name not in KEYS:
            raise ConfigError(f"{name}: unknown key; {suggest(name, KEYS)}")
        try:
            given[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ConfigError(f"{argument}: not a value that can be read") from None
    if "backbone" not in given:
        raise ConfigError("backbone: missing; give backbone=NAME")
    stopped = "" if given["stop"] is None else f"-stop-{given['stop']}"
    given.setdefault("output", f"gradients-{given['backbone']}{stopped}.png")
    return {name: KEYS[name].check(name, value) for name, value in given.items()}


def run(
    backbone: str,
    stop: str | None,
    width: float,
    depth: float,
    output: str | None,
    json: bool,
) -> None:
    """Trace a backbone, print what was found and draw it; arguments as in `KEYS`.

    Raises:
        InputError: for bad input, before anything is written.
    """
    _check_output(output)
    stay_offline(cache_root() / "fonts")
    import torch

    from progressive.gradient_trace import analyse

    module, side = build_backbone(backbone, width, depth)
    try:
        paths = analyse(module, torch.zeros(2, 3, side, side, device="meta"), stop)
    except ValueError as error:
        raise ConfigError(f"backbone={backbone}: {error}") from error
    title = backbone
    if (width, depth) != (1, 1):
        title += f" at width {width:g}, depth {depth:g}"
    if stop:
        title += f", gradient stopped on each {stop}"
    if json:
        print(to_json(paths))
    else:
        print(title, table(paths), sep="\n\n")
    if output is None:
        return
    from progressive.gradient_picture import draw

    try:
        draw(paths, f"Gradient paths of {title}", Path(output))
    except OSError as error:
        raise ConfigError(f"output={output}: cannot be written: {error.strerror}") from error
    print(f"\nPicture: {output}", file=sys.stderr if json else sys.stdout)


def build_backbone(name: str, width: float = 1, depth: float = 1) -> tuple[nn.Module, int]:
    """Build a backbone without storage.

    Args:
        name: of this project's catalog, or of a timm model with maps at strides 8, 16 and 32.
        width: fraction of the channels, in (0, 1].
        depth: fraction of the blocks, in (0, 1].

    Returns:
        The backbone on the meta device, and the side of the images to give it, in pixels.

    Raises:
        ConfigError: an unknown name, or a backbone that cannot be built like this.
    """
    import timm
    import torch
    from ultralytics.nn import tasks

    from progressive.detectors import backbones  # noqa: F401  registers TimmBackbone

    if name not in BACKBONES and not timm.is_model(name):
        near = get_close_matches(name, [*BACKBONES, *timm.list_models()], n=1)
        hint = suggest(name, near or BACKBONES) + ("" if near else ", or a timm model")
        raise ConfigError(f"backbone={name}: {hint}")
    spec = BACKBONES.get(name, BackboneSpec(name, scalable=False))
    try:
        layer = spec.layer(width, depth)
        with torch.device("meta"):
            module = getattr(tasks, layer.module)(*layer.args)
    except (TypeError, ValueError, RuntimeError) as error:  # timm's refusals share no base class
        raise ConfigError(f"backbone={name}: is no backbone for a detector: {error}") from error
    config = getattr(module.body, "pretrained_cfg", {})
    return module, config["input_size"][-1] if config.get("fixed_input_size") else SIDE


def table(paths: GradientPaths) -> str:
    """Draw a row for each stage and one for the network, and say how to read them."""
    rows = [_row(f"stride {stage.stride}", stage) for stage in paths.stages]
    rows.append(_row("network", paths.network))
    headers = ["stage", "layers", "shortest path", "longest path"]
    headers += ["timestamps", "per layer", "sources", "per layer"]
    lines = [
        tabulate(rows, headers, tablefmt="github", stralign="right", disable_numparse=True),
        "",
        "Paths are counted in layers with weights: from the stage's own output, in the last row from",
        "the loss, which reads the maps at strides 8, 16 and 32. A range is the least and the most",
        "of any layer. Timestamps and sources are the different ones in the stage.",
    ]
    if paths.network.unreached:
        lines.append(f"Layers that no gradient reaches: {paths.network.unreached}.")
    return "\n".join(lines)


def to_json(paths: GradientPaths) -> str:
    """Return all that was found, as JSON."""
    return dumps(asdict(paths), indent=1)


def help_text() -> str:
    """Write ``--help``: every key with its sentence."""
    lines = ["Analyse the gradient paths of a backbone.", ""]
    lines += ["    python -m progressive.gradients backbone=elan", "", "Keys (KEY=VALUE):"]
    lines += [f"  {name:<10}{key.help}" for name, key in KEYS.items()]
    return "\n".join(lines)


def _row(name: str, stage: StagePaths) -> list[str]:
    return [
        name,
        str(stage.layers),
        _span(stage.shortest),
        _span(stage.longest),
        str(stage.timestamps),
        _span(stage.layer_timestamps),
        str(stage.sources),
        _span(stage.layer_sources),
    ]


def _span(ends: tuple[int, int]) -> str:
    return f"{ends[0]}" if ends[0] == ends[1] else f"{ends[0]}-{ends[1]}"


def _check_output(output: str | None) -> None:
    if output is None:
        return
    path = Path(output)
    if path.suffix not in {".png", ".svg", ".pdf"}:
        raise ConfigError(f"output={output}: must end in .png, .svg or .pdf")
    if not path.parent.is_dir():
        raise ConfigError(f"output={output}: no such folder")


if __name__ == "__main__":
    main()

"""The command line: trace a backbone, print its gradient paths stage by stage and draw them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from progressive.config.checks import boolean, choice, number, optional, text
from progressive.config.keys import Key
from progressive.data.embedded.cache import cache_root
from progressive.detectors.catalog import TIMM
from progressive.errors import ConfigError, InputError, suggest
from progressive.gradients.backbone import trace_backbone
from progressive.machine import stay_offline

KEYS: dict[str, Key] = {
    "backbone": Key(text(), f"A backbone of the catalog, or {TIMM}NAME for any timm model."),
    "backbone.name": Key(optional(text()), "The timm model, after backbone=timm."),
    "backbone.depth": Key(number(0, 1, open_start=True), "Fraction of the backbone's blocks."),
    "backbone.variant": Key(
        lambda _, value: value,  # what is right depends on the design, which checks it
        "prn: fraction of masked channels; cspdarknet53: csp, first or last; elan: stacks.",
    ),
    "stop": Key(
        optional(choice(("identity", "block"))),
        "Stop the gradient on identities or on blocks, in the gradient-path designs.",
    ),
    "output": Key(
        optional(text()), "Picture (.png, .svg or .pdf); gradients-BACKBONE.png when not given."
    ),
    "json": Key(boolean(), "Print JSON, with every layer, instead of a table."),
}

DEFAULTS: Mapping[str, Any] = {
    "backbone.name": None,
    "backbone.depth": 1,
    "backbone.variant": None,
    "stop": None,
    "json": False,
}


def main() -> None:
    """Run the command line."""
    arguments = sys.argv[1:]
    if {"-h", "--help"} & set(arguments):
        print(help_text())
        return
    try:
        run(parse(arguments))
    except InputError as error:
        print(f"progressive: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def parse(arguments: Sequence[str]) -> dict[str, Any]:
    """Read KEY=VALUE arguments.

    Returns:
        A value for every key.

    Raises:
        ConfigError: one line about the first mistake.
    """
    value = dict(DEFAULTS)
    for argument in arguments:
        name, equals, written = argument.partition("=")
        if not equals:
            raise ConfigError(f"{argument}: not an override; write KEY=VALUE")
        if name not in KEYS:
            raise ConfigError(f"{name}: unknown key; {suggest(name, KEYS)}")
        try:
            value[name] = KEYS[name].check(name, yaml.safe_load(written))
        except (yaml.YAMLError, ValueError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"{argument}: not a value that can be read") from None
    if "backbone" not in value:
        raise ConfigError("backbone: missing; give backbone=NAME")
    _name_timm_model(value)
    value.setdefault("output", f"gradients-{_slug(value)}.png")
    _check_output(value["output"])
    return value


def run(value: Mapping[str, Any]) -> None:
    """Trace a backbone, print what was found and draw it.

    Args:
        value: of every key, as `parse` returns them.

    Raises:
        InputError: for bad input, before anything is written.
    """
    stay_offline(cache_root() / "fonts")
    paths = trace_backbone(
        value["backbone"], value["stop"], value["backbone.depth"], value["backbone.variant"]
    )
    from progressive.gradients.table import to_json, to_text

    title = _title(value)
    print(to_json(paths) if value["json"] else f"{title}\n\n{to_text(paths)}")
    output = value["output"]
    if output is None:
        return
    from progressive.gradients.picture import draw

    try:
        draw(paths, f"Gradient paths of {title}", Path(output))
    except OSError as error:
        raise ConfigError(f"output={output}: cannot be written: {error.strerror}") from error
    print(f"\nPicture: {output}", file=sys.stderr if value["json"] else sys.stdout)


def help_text() -> str:
    """Write ``--help``: every key with its sentence."""
    lines = ["Analyse the gradient paths of a backbone.", ""]
    lines += ["    python -m progressive.gradients backbone=elan", "", "Keys (KEY=VALUE):"]
    lines += [f"  {name:<18}{key.help}" for name, key in KEYS.items()]
    return "\n".join(lines)


def _name_timm_model(value: dict[str, Any]) -> None:
    """Turn backbone=timm backbone.name=NAME into the catalog's timm:NAME."""
    backbone, name = value["backbone"], value["backbone.name"]
    if backbone == TIMM.rstrip(":"):
        if name is None:
            raise ConfigError("backbone=timm: give backbone.name=NAME, a timm model")
        value["backbone"] = TIMM + name
    elif name is not None:
        raise ConfigError(f"backbone.name={name}: goes with backbone=timm, not {backbone}")


def _title(value: Mapping[str, Any]) -> str:
    stop = [f"gradient stopped on each {value['stop']}"] if value["stop"] else []
    return ", ".join([*_design(value), *stop])


def _slug(value: Mapping[str, Any]) -> str:
    stop = [f"stop-{value['stop']}"] if value["stop"] else []
    return "-".join([*_design(value), *stop]).replace(":", "-").replace(" ", "-")


def _design(value: Mapping[str, Any]) -> list[str]:
    """Name the backbone and what makes it differ from its usual self."""
    parts = [value["backbone"]]
    if value["backbone.depth"] != 1:
        parts.append(f"depth {value['backbone.depth']:g}")
    if value["backbone.variant"] is not None:
        parts.append(f"variant {value['backbone.variant']}")
    return parts


def _check_output(output: str | None) -> None:
    if output is None:
        return
    path = Path(output)
    if path.suffix not in {".png", ".svg", ".pdf"}:
        raise ConfigError(f"output={output}: must end in .png, .svg or .pdf")
    if not path.parent.is_dir():
        raise ConfigError(f"output={output}: no such folder")

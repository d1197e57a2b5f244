"""The command line: trace a backbone, print its gradient paths stage by stage and draw them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, model_validator

from progressive.config.complaints import checked, keys
from progressive.config.sections import Section
from progressive.config.values import Text
from progressive.data.embedded.cache import cache_root
from progressive.detectors.catalog import TIMM
from progressive.errors import ConfigError, InputError
from progressive.gradients.backbone import trace_backbone
from progressive.machine import stay_offline


class Arguments(Section):
    """The keys of this command, with the sentence that `--help` prints for each."""

    backbone: Text = Field(
        description=f"A backbone of the catalog, or {TIMM}NAME for any timm model."
    )
    timm_name: Text | None = Field(
        None, alias="backbone.name", description="The timm model, after backbone=timm."
    )
    depth: float = Field(
        1.0, alias="backbone.depth", gt=0, le=1, description="Fraction of the backbone's blocks."
    )
    variant: Any = Field(
        None,  # what is right depends on the design, which checks it
        alias="backbone.variant",
        description="prn: fraction of masked channels; cspdarknet53: csp, first or last; elan: "
        "stacks in a stage.",
    )
    stop: Literal["identity", "block"] | None = Field(
        None,
        description="Stop the gradient on identities or on blocks, in the gradient-path designs.",
    )
    output: Text | None = Field(
        None, description="Picture (.png, .svg or .pdf); gradients-BACKBONE.png when not given."
    )
    as_json: bool = Field(
        False, alias="json", description="Print JSON, with every layer, instead of a table."
    )

    @model_validator(mode="after")
    def _can_be_done(self) -> Arguments:
        by_name = self.backbone == TIMM.rstrip(":")
        if by_name and self.timm_name is None:
            raise ConfigError("backbone=timm: give backbone.name=NAME, a timm model")
        if self.timm_name is not None and not by_name:
            raise ConfigError(
                f"backbone.name={self.timm_name}: goes with backbone=timm, not {self.backbone}"
            )
        if self.picture and self.picture.suffix not in {".png", ".svg", ".pdf"}:
            raise ConfigError(f"output={self.output}: must end in .png, .svg or .pdf")
        if self.picture and not self.picture.parent.is_dir():
            raise ConfigError(f"output={self.output}: no such folder")
        return self

    @property
    def name(self) -> str:
        """What the catalog knows the backbone by."""
        return self.backbone if self.timm_name is None else f"{TIMM}{self.timm_name}"

    @property
    def title(self) -> str:
        """The backbone, and what makes it differ from its usual self."""
        stop = [f"gradient stopped on each {self.stop}"] if self.stop else []
        return ", ".join([*self._design, *stop])

    @property
    def picture(self) -> Path | None:
        """Where the picture goes; None where nobody wants one."""
        if "output" in self.model_fields_set:
            return Path(self.output) if self.output else None
        stop = [f"stop-{self.stop}"] if self.stop else []
        slug = "-".join([*self._design, *stop]).replace(":", "-").replace(" ", "-")
        return Path(f"gradients-{slug}.png")

    @property
    def _design(self) -> list[str]:
        depth = [f"depth {self.depth:g}"] if self.depth != 1 else []
        variant = [f"variant {self.variant}"] if self.variant is not None else []
        return [self.name, *depth, *variant]


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


def parse(arguments: Sequence[str]) -> Arguments:
    """Read KEY=VALUE arguments.

    Raises:
        ConfigError: one line about the first mistake.
    """
    given = {}
    for argument in arguments:
        name, equals, written = argument.partition("=")
        if not equals:
            raise ConfigError(f"{argument}: not an override; write KEY=VALUE")
        try:
            given[name] = yaml.safe_load(written)
        except (yaml.YAMLError, ValueError):
            raise ConfigError(f"{argument}: not a value that can be read") from None
    return checked(Arguments, given)


def run(arguments: Arguments) -> None:
    """Trace a backbone, print what was found and draw it.

    Raises:
        InputError: for bad input, before anything is written.
    """
    stay_offline(cache_root() / "fonts")
    paths = trace_backbone(arguments.name, arguments.stop, arguments.depth, arguments.variant)
    from progressive.gradients.table import to_json, to_text

    title, picture = arguments.title, arguments.picture
    print(to_json(paths) if arguments.as_json else f"{title}\n\n{to_text(paths)}")
    if picture is None:
        return
    from progressive.gradients.picture import draw

    try:
        draw(paths, f"Gradient paths of {title}", picture)
    except OSError as error:
        raise ConfigError(f"output={picture}: cannot be written: {error.strerror}") from error
    print(f"\nPicture: {picture}", file=sys.stderr if arguments.as_json else sys.stdout)


def help_text() -> str:
    """Write `--help`: every key with its sentence."""
    lines = ["Analyse the gradient paths of a backbone.", ""]
    lines += ["    python -m progressive.gradients backbone=elan", "", "Keys (KEY=VALUE):"]
    lines += [f"  {name:<18}{field.description}" for name, field in keys(Arguments).items()]
    return "\n".join(lines)

"""What the command line of `progressive.compare` asks for, composed by Hydra."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from pydantic import BeforeValidator, Field

from progressive.config.command_line import compose_config
from progressive.config.complaints import checked
from progressive.config.hydra_errors import MISTAKES, said
from progressive.config.model import MAX_SEED, Config
from progressive.config.options import conf_dir
from progressive.config.sections import STRIDE, Section
from progressive.config.values import Text
from progressive.cost import relative_cost
from progressive.errors import ConfigError, suggest

#: Keys of a comparison alone.
OWN = ("seeds", "arms", "baseline", "margin")

#: Keys of a run that a comparison sets for its runs.
SET_HERE = ("seed", "output", "dry_run", "device")

#: Keys that spend time on something else than training; `budget` is one as well.
TIMED = ("probe", "price_per_hour")

#: Folders of a comparison that are no arm's.
RESERVED = ("report",)

#: Which process trains an arm: ours, plain Ultralytics, or ours at random sizes.
TRAINERS = ("progressive", "stock", "multi_scale")

#: What no arm may set: its scores or its times would not be comparable.
SAME_FOR_ALL = ("task", "data", *SET_HERE, "resume", *OWN)

HELP = f"""Compare ways of training the same detector, seed by seed.

    python -m progressive.compare data=my/data.yaml seeds=[0,1,2] arms=[stock,fixed,progressive]

Every key of progressive.run (see its --help), and:
  seeds=[0,1,2]       Every arm is trained once with each of them.
  arms=[fixed,...]    What is compared; those of conf/arm, or your own.
  '+arm.NAME=[KEY=VALUE,...]'
                      An arm of your own: the overrides that make it. trainer=NAME among them
                      chooses who trains: {", ".join(TRAINERS)}.
  baseline=fixed      What the others are compared with; fixed, or the first arm without it.
  margin=0.005        By how much a score may fall short and still count as no worse.
  output=FOLDER       The same folder again continues the comparison.
  dry_run=true        Print what would be run and stop.
"""


def _seeds(value: Any) -> tuple[int, ...]:
    whole = isinstance(value, (list, tuple)) and all(type(seed) is int for seed in value)
    if not whole or not value or not all(0 <= seed <= MAX_SEED for seed in value):
        raise ValueError("must be a list of integers of at least 0, as [0,1,2]")
    return tuple(value)


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError("must be a list of arms, as [fixed,progressive]")
    return tuple(map(str, value))


class Comparison(Section):
    """The keys of a comparison beside those of its runs."""

    seeds: Annotated[tuple[int, ...], BeforeValidator(_seeds)]
    arms: Annotated[tuple[str, ...], BeforeValidator(_names)]
    baseline: Text | None = None
    margin: float = Field(gt=0, lt=1)


@dataclass(frozen=True)
class Request:
    """What is to be compared.

    Attributes:
        comparison: seeds, arms, baseline, margin; the baseline is named.
        base: the configuration without any arm.
        overrides: of the user, for every run.
        arms: overrides of each arm by name, the interpolations resolved.
    """

    comparison: Comparison
    base: Config
    overrides: tuple[str, ...]
    arms: Mapping[str, tuple[str, ...]]


def read_request(arguments: Sequence[str]) -> Request:
    """Compose what the command line asks for.

    Raises:
        ConfigError: one line about the first mistake.
    """
    own: list[str] = []
    others: list[str] = []
    for argument in arguments:
        if argument.startswith("-"):
            raise ConfigError(f"{argument}: unknown option; progressive.compare has only --help")
        name = key_of(argument)
        (own if name in OWN or name.startswith("arm.") else others).append(argument)
    for argument in others:
        _refuse_key(argument)
    comparison, arms = _compose(own)
    base = compose_config(others)
    named = [key_of(argument)[4:] for argument in own if key_of(argument).startswith("arm.")]
    added = tuple(name for name in dict.fromkeys(named) if name not in comparison.arms)
    comparison = _check(comparison.model_copy(update={"arms": comparison.arms + added}), arms)
    overrides = tuple(o for o in others if key_of(o) not in SET_HERE)
    resolved = _resolve(arms, base)
    return Request(comparison, base, overrides, {name: resolved[name] for name in comparison.arms})


def key_of(override: str) -> str:
    """Return the key that an override sets, without its plus or tilde."""
    return re.split("[=@]", override.lstrip("+~"))[0]


def quoted_arm(override: str) -> str:
    """Return `+arm.NAME=[KEY=VALUE,...]` with each element as a quoted text, as Hydra takes it."""
    found = re.fullmatch(r"\+{0,2}arm\.(\w+)=\[(.*)\]", override, re.DOTALL)
    if not found:
        raise ConfigError(f"{override}: write '+arm.NAME=[KEY=VALUE,KEY=VALUE]'")
    elements = [_quoted(element) for element in split_at_commas(found[2])]
    return f"++arm.{found[1]}=[{','.join(elements)}]"


def split_at_commas(text: str) -> list[str]:
    """Split at the commas that stand outside of brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for mark in text:
        if quote:
            quote = "" if mark == quote else quote
        elif mark in "'\"":
            quote = mark
        depth += 0 if quote else (mark in "[{(") - (mark in "]})")
        if mark == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += mark
    stripped = [part.strip() for part in parts]
    return [part for part in stripped if part]


def written(key: str, value: object) -> str:
    """Write an override whose value is a text with any characters."""
    text = str(value)
    plain = re.fullmatch(r"[\w./-]+", text)
    return f"{key}={text if plain else _quote(text)}"


def _quoted(element: str) -> str:
    whole = len(element) > 1 and element[0] == element[-1] and element[0] in "'\""
    return element if whole else _quote(element)


def _quote(text: str) -> str:
    # In Hydra's grammar a backslash escapes only before a quote.
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", text)
    return "'" + re.sub(r"(\\+)$", r"\1\1", escaped) + "'"


def _refuse_key(argument: str) -> None:
    name = key_of(argument)
    if name in TIMED or name.startswith("budget"):
        raise ConfigError(f"{argument}: arms would be timed differently; leave it out")
    if name == "train":
        raise ConfigError(f"{argument}: write train.KEY=VALUE, so that stock is given it too")
    if name == "seed":
        raise ConfigError(f"{argument}: a comparison has several; write seeds=[0,1,2]")
    if name == "resume":
        raise ConfigError(f"{argument}: a comparison goes on in its folder; write output=FOLDER")
    if name.startswith("hydra") and name != "hydra.searchpath":
        raise ConfigError(f"{argument}: a comparison is no job of Hydra; leave it out")


def _compose(own: Sequence[str]) -> tuple[Comparison, Mapping[str, Any]]:
    arguments = [quoted_arm(o) if key_of(o).startswith("arm.") else o for o in own]
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            for override in OverridesParser.create().parse_overrides(arguments):
                if override.is_sweep_override():
                    raise ConfigError(f"{override.input_line}: {_no_sweep(override.key_or_group)}")
            composed = compose("compare", overrides=arguments)
        raw: Any = OmegaConf.to_container(composed)
    except MISTAKES as error:
        raise ConfigError(said(error)) from None
    arms = raw.pop("arm")
    return checked(Comparison, raw), arms


def _no_sweep(key: str) -> str:
    examples = {"seeds": "seeds=[0,1,2]", "arms": "arms=[fixed,progressive]"}
    return f"must be a list, as {examples[key]}" if key in examples else "must be one value"


def _check(comparison: Comparison, arms: Mapping[str, Any]) -> Comparison:
    for key, values in (("seeds", comparison.seeds), ("arms", comparison.arms)):
        shown = f"{key}=[{','.join(map(str, values))}]"
        if len(set(values)) < len(values):
            raise ConfigError(f"{shown}: names one twice")
    for name in comparison.arms:
        if name not in arms:
            raise ConfigError(f"arms: {name}: no such arm; {suggest(name, arms)}")
    if len(comparison.arms) < 2:
        raise ConfigError(f"{shown}: needs two arms at least, as arms=[fixed,progressive]")
    baseline = comparison.baseline or (
        "fixed" if "fixed" in comparison.arms else comparison.arms[0]
    )
    if baseline not in comparison.arms:
        raise ConfigError(f"baseline={baseline}: {suggest(baseline, comparison.arms)}")
    return comparison.model_copy(update={"baseline": baseline})


def _resolve(arms: Mapping[str, Any], base: Config) -> dict[str, tuple[str, ...]]:
    """Put the values of the configuration, and of what the schedule's cost buys, into the arms."""
    schedule = base.schedule()
    cost = relative_cost(schedule)
    same_cost = {
        "epochs": max(1, round(base.epochs * cost)),
        "size": max(STRIDE, round(cost**0.5 * schedule.image_size / STRIDE) * STRIDE),
    }
    facts = {**_texts(base.model_dump(mode="json")), "same_cost": same_cost, "arm": dict(arms)}
    try:
        found: Any = OmegaConf.to_container(OmegaConf.create(facts), resolve=True)
    except MISTAKES as error:
        raise ConfigError(f"arm: {said(error)}") from None
    resolved = {}
    for name, overrides in found["arm"].items():
        if not isinstance(overrides, list):
            raise ConfigError(f"arm.{name}={overrides}: must be a list, as [size.min=128]")
        resolved[name] = tuple(map(str, overrides))
        _check_arm(name, resolved[name])
    return resolved


def _texts(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as an override spells them."""
    spelled = {None: "null", True: "true", False: "false"}
    texts: dict[str, Any] = {}
    for key, value in section.items():
        if isinstance(value, Mapping):
            texts[key] = _texts(value)
        elif isinstance(value, (list, tuple)):
            texts[key] = f"[{','.join(map(str, value))}]"
        else:
            known = value is None or isinstance(value, bool)
            texts[key] = spelled[value] if known else str(value)
    return texts


def _check_arm(name: str, overrides: Sequence[str]) -> None:
    if name in RESERVED:
        raise ConfigError(f"arm {name}: the report of a comparison has this name; take another")
    for override in overrides:
        if key_of(override) in TIMED or key_of(override).startswith("budget"):
            raise ConfigError(f"arm {name}: {override}: arms would be timed differently")
        if key_of(override) in SAME_FOR_ALL or key_of(override).startswith("hydra"):
            raise ConfigError(f"arm {name}: {override}: must be the same for all arms")
        if key_of(override) == "trainer":
            trainer = override.partition("=")[2]
            if trainer not in TRAINERS:
                raise ConfigError(f"arm {name}: {override}: {suggest(trainer, TRAINERS)}")

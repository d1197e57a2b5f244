"""An arm of a comparison, and what may differ between two of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from progressive.errors import ConfigError
from progressive.runs.comparison import PLACES
from progressive.runs.load import flat
from progressive.schedule import KNOBS, ProgressiveSchedule

#: Keys that a list of `sizes=` stands for.
SIZES = ("stages", "size")

#: Keys that a choice of `schedule=` stands for.
SCHEDULE = (
    *("stages", "durations", "durations_by", "size", "sizes", "lr_by", "levels_by"),
    *(knob.key for knob in KNOBS),
)


@dataclass(frozen=True)
class Arm:
    """A way of training.

    Attributes:
        name: of the arm.
        trainer: 'progressive', 'stock' or 'multi_scale'.
        overrides: that make it, beside those of the user.
        settings: the whole configuration as nested mappings.
        schedule: that it follows.
    """

    name: str
    trainer: str
    overrides: tuple[str, ...]
    settings: Mapping[str, Any]
    schedule: ProgressiveSchedule

    @property
    def asked(self) -> dict[str, Any]:
        """What was asked for, seed and places left out; a run is reused for the same."""
        kept = {key: value for key, value in self.settings.items() if key not in PLACES}
        return {"trainer": self.trainer, "settings": kept}

    @property
    def effect(self) -> tuple[str, ProgressiveSchedule, dict[str, Any]]:
        """What training does: a key without an effect, as `size.min` of one stage, is left out."""
        ignored = (*PLACES, *SCHEDULE, "epochs")
        rest = {key: value for key, value in self.settings.items() if key not in ignored}
        if len({stage.image_size for stage in self.schedule.stages}) > 1:
            for name in ("lr_by", "levels_by"):  # at one size there is no difference
                rest[name] = self.settings[name]
        return self.trainer, self.schedule, rest


def check_all_differ(arms: Sequence[Arm]) -> None:
    """Raise ConfigError if two arms are the same."""
    for number, arm in enumerate(arms):
        for other in arms[:number]:
            if arm.effect == other.effect:
                raise ConfigError(
                    f"arms: {other.name} and {arm.name} are the same with these settings; "
                    "leave one out"
                )


def check_only_named(arm: Arm, base: Mapping[str, Any], named: Sequence[str]) -> None:
    """Check that an arm differs from the others only in what its overrides name.

    Args:
        arm: the arm.
        base: the configuration without any arm.
        named: keys of the arm's overrides. A section stands for its keys, `schedule` for those
            that such a preset sets.

    Raises:
        ConfigError: names the first key that differs for another reason, as one that follows from
            another key does.
    """
    allowed = [*named, *(SCHEDULE if "schedule" in named else ())]
    allowed += SIZES if "sizes" in named else ()
    own, other = flat(arm.settings), flat(base)
    for key in sorted({*own, *other}):
        if key in PLACES or any(f"{key}.".startswith(f"{name}.") for name in allowed):
            continue
        if own.get(key) != other.get(key):
            raise ConfigError(
                f"arm {arm.name}: {key} would be {own.get(key)} in it and {other.get(key)} in the "
                f"others, though it does not name {key}; add it to the arm, or give it for all"
            )


def rotation(seeds: Sequence[int], arms: Sequence[Arm]) -> list[tuple[Arm, int]]:
    """Return all runs in their order: arms take turns, and each seed begins with another one.

    So a machine that slows down with time slows all arms alike.
    """
    order = []
    for turn, seed in enumerate(seeds):
        first = turn % len(arms)
        order += [(arm, seed) for arm in (*arms[first:], *arms[:first])]
    return order

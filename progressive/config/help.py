"""What `--help` prints: every key and every group with its sentence."""

from __future__ import annotations

from collections.abc import Mapping

from progressive.config.complaints import keys
from progressive.config.model import GROUPS, Config


def help_text() -> str:
    """Return Hydra's template for `--help`; Hydra adds the options of every group."""
    sentences = {name: field.description for name, field in keys(Config).items()}
    width = max(map(len, [*sentences, *GROUPS])) + 2

    def table(rows: Mapping[str, str | None]) -> list[str]:
        return [
            f"  {name:<{width}}{sentence}".replace("$", "$$") for name, sentence in rows.items()
        ]

    options = {
        "--cfg job": "Print the configuration and stop; with -m, that of every job.",
        "-m": "Sweep: one job for every combination, as in -m seed=0,1,2 stages=1,4.",
        "--config-dir": "A folder with options of your own for any group.",
        "--hydra-help": "All of Hydra's options and settings.",
    }
    return "\n".join(
        [
            "Train an object detector progressively.",
            "",
            "    progressive stages=4 size.min=320 size.max=640",
            "",
            "Keys (KEY=VALUE):",
            *table(sentences),
            "",
            "Groups (GROUP=OPTION):",
            *table(GROUPS),
            "",
            "$APP_CONFIG_GROUPS",
            "Options:",
            *table(options),
            "",
        ]
    )

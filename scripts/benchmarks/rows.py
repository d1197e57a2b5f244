"""A measured ratio, and the table of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tabulate import tabulate


@dataclass(frozen=True)
class Row:
    """Repeats of one ratio, taken in turn with what it is compared to.

    Attributes:
        name: what is compared with what.
        ratios: one for each repeat.
        target: what the median is to be, as in "<= 1.10"; empty where there is none.
        note: what else a reader needs to know, such as the two medians with their unit.
    """

    name: str
    ratios: tuple[float, ...]
    target: str = ""
    note: str = ""

    @property
    def median(self) -> float:
        """Return the median of the repeats."""
        return median(self.ratios)

    @property
    def met(self) -> bool | None:
        """Tell whether the median is within the target; None without one."""
        if not self.target:
            return None
        sign, _, limit = self.target.partition(" ")
        return self.median <= float(limit) if sign == "<=" else self.median >= float(limit)


def table(rows: Sequence[Row]) -> str:
    """Draw the rows in markdown."""
    cells = [
        (
            row.name,
            f"{row.median:.3g}",
            f"{min(row.ratios):.3g} - {max(row.ratios):.3g}",
            row.target,
            {True: "yes", False: "no", None: ""}[row.met],
            row.note,
        )
        for row in rows
    ]
    headers = ["ratio", "median", "spread", "target", "met", "note"]
    return tabulate(cells, headers, tablefmt="github", disable_numparse=True)

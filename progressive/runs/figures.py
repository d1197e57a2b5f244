"""How every figure of a report looks, and how it becomes part of a page.

A figure is drawn twice, for a wide page and for a phone, since what shrinks cannot be read.
"""

from __future__ import annotations

import io
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

INK, SOFT, LINE, ACCENT = "#1d2329", "#68727d", "#d5dae0", "#1f6feb"

#: Widths in inches: of a column of text, and of a phone.
WIDE, NARROW = 8.2, 3.9

_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "font.size": 9,
    "grid.color": "#e9ecf0",
    "legend.fontsize": 9,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "progressive",  # the same records give the same file
    "text.color": INK,
    "text.parse_math": False,  # names are not ours: a $ is a $
    "xtick.color": LINE,
    "xtick.labelcolor": SOFT,
    "ytick.color": LINE,
    "ytick.labelcolor": SOFT,
}


@dataclass(frozen=True)
class Picture:
    """A figure in a page: two images as data, what it shows in words, and its sentence.

    Attributes:
        name: of the PNG file beside the page.
        alt: what those read who do not see it.
        wide: address of the image on a wide page.
        narrow: address of the image on a phone; None for the same.
        width: in pixels, of the wide one.
        height: in pixels, of the wide one.
    """

    name: str
    alt: str
    wide: str
    narrow: str | None = None
    width: int | None = None
    height: int | None = None


def picture(folder: Path, name: str, alt: str, draw: Callable[[float], Figure]) -> Picture:
    """Draw a figure in both widths, and as `NAME.png` in `folder`.

    Args:
        folder: exists.
        name: of the file.
        alt: what it shows, in words.
        draw: returns the figure of a width in inches.
    """
    with matplotlib.rc_context(_STYLE):
        figure = draw(WIDE)
        figure.savefig(folder / f"{name}.png", dpi=150, facecolor="white")
        width, height = (round(96 * side) for side in figure.get_size_inches())
        return Picture(name, alt, _svg(figure), _svg(draw(NARROW)), width, height)


def photograph(path: Path, alt: str) -> Picture:
    """Take a sheet of images into the page."""
    return Picture(path.stem, alt, _address("image/jpeg", path.read_bytes()))


def new(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches, whose parts keep clear of each other."""
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(h_pad=0.06, w_pad=0.06))


def panels(width: float, height: float, count: int) -> tuple[Figure, list[Axes]]:
    """Return a figure with axes of that height, side by side on a wide page, else stacked."""
    if width >= WIDE:
        figure = new(width, height)
        return figure, list(figure.subplots(1, count, squeeze=False, sharey=True).flat)
    figure = new(width, height * count)
    return figure, list(figure.subplots(count, 1, squeeze=False).flat)


def time_unit(seconds: float) -> tuple[float, str]:
    """Return the unit, in seconds, and its name in which to write times up to `seconds`."""
    if seconds < 180:
        return 1.0, "s"
    return (60.0, "min") if seconds < 3 * 3600 else (3600.0, "h")


def whole_numbers(axes: Axes) -> None:
    """Let the x axis have ticks at integers only."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins="auto", min_n_ticks=1))


def legend_above(figure: Figure, axes: Axes, columns: int) -> None:
    """Put what `axes` name above the whole figure, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside upper left",
        ncols=columns,
        handlelength=1.2,
        handletextpad=0.5,
        columnspacing=1.2,
    )


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    # The reader's own font instead of the one that this machine draws with.
    text = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", buffer.getvalue())
    return _address("image/svg+xml", text.encode())


def _address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{b64encode(content).decode()}"

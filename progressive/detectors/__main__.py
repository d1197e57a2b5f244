"""Print a table of all backbones: `python -m progressive.detectors --size 640`."""

from __future__ import annotations

if __name__ == "__main__":  # before anything slow is imported
    from progressive.signals import Interruption

    Interruption().install()

import sys
from argparse import ArgumentParser
from typing import NoReturn

#: Largest stride of every backbone; the image size must be a multiple of it.
STRIDE = 32

#: Largest image size.
MAX_SIZE = 8192


class OneLineParser(ArgumentParser):
    """Reports a mistake in one line; argparse would print the usage too."""

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with code 2."""
        self.exit(2, f"progressive: {message}\n")


def main() -> None:
    """Run the command line."""
    parser = OneLineParser(
        prog="python -m progressive.detectors",
        description="Parameters, multiply-adds, channels and strides of every backbone.",
    )
    parser.add_argument("--size", default="640", help="side of the image in pixels (640)")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    options = parser.parse_args()
    size = int(options.size) if options.size.isdecimal() else 0
    if size not in range(STRIDE, MAX_SIZE + 1, STRIDE):
        parser.error(f"--size {options.size}: must be a multiple of {STRIDE} up to {MAX_SIZE}")

    from progressive.detectors.table import measure_all, to_json, to_text

    rows = measure_all(size)
    sys.stdout.write((to_json(rows) if options.json else to_text(rows, size)) + "\n")


if __name__ == "__main__":
    main()

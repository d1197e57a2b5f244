"""Rebuild reports from records, without torch: ``python -m progressive.report FOLDER…``.

One folder gives the report of that run, or of all runs in it. Several give a comparison.
"""

from __future__ import annotations

if __name__ == "__main__":  # before anything slow is imported
    from progressive.signals import Interruption

    Interruption().install()

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from progressive.errors import InputError

#: Where the report of several folders goes.
COMPARISON = Path("comparison")

EPILOG = """\
A report is written to report.html in the folder, a comparison of several folders to
comparison/report.html here. The first folder is the baseline."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = _Parser(
        prog="python -m progressive.report",
        description="Write a report of a run, or a comparison of several, from their records.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="of a run, or of runs"
    )
    parser.add_argument(
        "--output", type=Path, help="folder of a comparison of several; comparison/ by default"
    )
    parser.add_argument("--baseline", type=Path, help="run to draw beside a single one")
    try:
        given = parser.parse_args(arguments)
        print(f"Report: {write(given.folders, given.output, given.baseline)}")
    except InputError as error:
        print(f"progressive: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def write(
    folders: Sequence[Path], output: Path | None = None, baseline: Path | None = None
) -> Path:
    """Write the report and return its page.

    Args:
        folders: of runs, or that hold runs.
        output: folder of the report of several; `comparison` by default.
        baseline: a run to draw beside a single one.

    Raises:
        InputError: a folder holds no run, a record is damaged, or the page cannot be written.
    """
    from progressive.runs.html import write_comparison, write_report
    from progressive.runs.load import find_runs, is_run

    if baseline is not None and (len(folders) > 1 or not is_run(folders[0])):
        raise InputError(f"--baseline {baseline}: goes with the folder of one run")
    if output is not None and len(folders) == 1:
        raise InputError(f"--output {output}: goes with several folders; one has its report inside")
    try:
        if len(folders) == 1:
            return write_report(folders[0], baseline)
        runs = []
        for folder in folders:
            found = find_runs(folder) if folder.is_dir() else []
            runs += found or [folder]  # which says what is wrong with it when it is read
        runs = list(dict.fromkeys(run.expanduser().resolve() for run in runs))
        if len(runs) < 2:
            raise InputError(f"{folders[0]}: is the only run named; a comparison needs two")
        return write_comparison(runs, output or COMPARISON)
    except OSError as error:
        raise InputError(f"{error.filename or output}: {error.strerror or error}") from None
    except UnicodeError as error:
        raise InputError(f"{output or folders[0]}: its name cannot be written: {error}") from None


class _Parser(argparse.ArgumentParser):
    """Answers a mistake in one line, as every command of this program does."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise InputError(f"{message}; see --help")


if __name__ == "__main__":
    main()

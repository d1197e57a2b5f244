"""Run the command line: `progressive stages=4`, or `python -m progressive stages=4`."""

from __future__ import annotations


def main() -> None:
    """Run the command line of `progressive.run`."""
    from progressive.signals import Interruption

    Interruption().install()  # before anything slow is imported
    from progressive.run import main as run

    run()


if __name__ == "__main__":
    main()

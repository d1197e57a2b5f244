"""Run the command line: `python -m progressive.gradients backbone=elan`."""

from progressive.gradients.command import main

if __name__ == "__main__":
    main()

"""Run the command line: `python -m progressive.gradients backbone=elan`."""

if __name__ == "__main__":  # before anything slow is imported
    from progressive.signals import Interruption

    Interruption().install()

from progressive.gradients.command import main

if __name__ == "__main__":
    main()

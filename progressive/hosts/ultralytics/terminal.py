"""What a run prints beside, or in place of, what Ultralytics prints.

`full` leaves Ultralytics' bars alone on a terminal. In a log file a bar is nothing but thousands of
redrawn lines, so there a line for each epoch takes the place of bars and tables of an epoch.
`quiet` has that line only, `json` has it for programs, and Ultralytics' warnings go on.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from typing import Any

from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import LOGGER, remove_colorstr

from progressive import console
from progressive.console import Log
from progressive.runs import progress, records, report
from progressive.schedule import KNOBS, ProgressiveSchedule, TrainingStage

#: Files of Ultralytics that print in every epoch, by the names of their modules.
EVERY_EPOCH = ("trainer", "validator", "val")

#: What a bar begins with, to be drawn over itself.
CLEAR = "\033[K"


class Terminal:
    """Say which stage begins, how far a run is after each epoch, and what the stages did.

    Args:
        log: how much, and for whom.
    """

    def __init__(self, log: Log = "full") -> None:
        self.log = log
        self._in_epoch = False

    def start(self) -> Callable[[], None]:
        """Make Ultralytics as quiet as asked for; return what undoes it."""
        stack = ExitStack()
        stack.enter_context(heard(self.log))
        if self.log == "full" and not console.is_terminal():
            stack.callback(_filtered(lambda record: not self._drops(record)))
        return stack.close

    def _drops(self, record: logging.LogRecord) -> bool:
        low = record.levelno < logging.WARNING
        return self._in_epoch and low and record.module in EVERY_EPOCH

    def start_epoch(self) -> None:
        """Expect what Ultralytics prints in every epoch."""
        self._expect(True)

    def _expect(self, in_epoch: bool) -> None:
        self._in_epoch = in_epoch
        if isinstance(sys.stdout, _LogFile):
            sys.stdout.dropping = in_epoch

    def stage(self, schedule: ProgressiveSchedule, stage: TrainingStage, batch: int) -> None:
        """Say that a stage begins."""
        if self.log == "json":
            fields = {"image_size": stage.image_size, **stage.knobs, "batch": batch}
            console.emit(
                "stage",
                stage=stage.index,
                stages=len(schedule.stages),
                start_epoch=stage.start_epoch,
                stop_epoch=stage.stop_epoch,
                **fields,
            )
            return
        used = [knob for knob in KNOBS if schedule.uses(knob.name)]
        knobs = "".join(f"{knob.label} {knob.written(knob.of(stage))}, " for knob in used)
        head = f"Stage {stage.index + 1}/{len(schedule.stages)}"
        line = console.fitted(
            f"{head}: epochs {stage.start_epoch + 1}-{stage.stop_epoch} at {stage.image_size} px, "
            f"{knobs}batches of {batch}"
        )
        self._say(line.replace(head, console.paint(head, console.BOLD), 1))

    def epoch(
        self,
        trainer: BaseTrainer,
        schedule: ProgressiveSchedule,
        done: Sequence[records.EpochRecord],
        left: float | None,
    ) -> None:
        """Say how far the run is, after an epoch.

        Args:
            trainer: which has the losses.
            schedule: what is trained when.
            done: the epochs so far.
            left: seconds that remain; None when nothing does.
        """
        self._expect(False)
        losses = _losses(trainer)
        if self.log == "json":
            console.emit("epoch", **progress.epoch_fields(schedule, done, left, losses))
            return
        bars = self.log == "full" and console.is_terminal()  # they show the losses
        line = progress.epoch_line(schedule, done, left, {} if bars else losses)
        self._say(console.paint(line, console.GREEN))

    def stages(self, rows: Sequence[dict[str, Any]]) -> None:
        """Say what the stages did."""
        if self.log != "json":
            self._say(f"\n{report.stage_table(rows)}")

    def _say(self, text: str) -> None:
        if self.log == "full":
            LOGGER.info(text)
        else:
            print(text, flush=True)


@contextmanager
def heard(log: Log) -> Iterator[None]:
    """Let through of Ultralytics what `log` leaves of it, in here and in processes begun in here.

    Nothing but our own lines of JSON goes to standard output with `json`: the rest goes to
    standard error. Colours go to terminals only. A log file gets a bar once, when it is full.
    """
    with ExitStack() as stack:
        if log == "json":
            stack.enter_context(redirect_stdout(sys.stderr))
        elif log == "full" and not console.is_terminal() and not isinstance(sys.stdout, _LogFile):
            stack.enter_context(redirect_stdout(_LogFile(sys.stdout)))
        if log != "full":
            stack.callback(_set_environment("YOLO_VERBOSE", "false"))
            stack.callback(LOGGER.setLevel, LOGGER.level)
            LOGGER.setLevel(logging.WARNING)
        for handler in LOGGER.handlers:
            if log != "full":
                stack.callback(handler.setLevel, handler.level)
                handler.setLevel(logging.WARNING)
            if log == "json" and isinstance(handler, logging.StreamHandler):
                stack.callback(handler.setStream, handler.stream)
                handler.setStream(sys.stderr)
        if not console.may_colour():
            stack.callback(_filtered(_without_colours))
        yield


class _LogFile:
    """A stream into which Ultralytics' bars are drawn once, when they are full, or not at all.

    Its `progress` is what they look for in a stream that keeps its own account of them; when one is
    closed, a line break follows.

    Attributes:
        dropping: whether bars are not to be drawn.
    """

    def __init__(self, stream: Any) -> None:
        self.dropping = False
        self._stream = stream
        self._frame = ""
        self._closing = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def progress(self, bar: int, frame: str) -> None:  # noqa: ARG002 - Ultralytics' signature
        """Take note of the state of a bar; an empty one says that it is closed."""
        if frame:
            self._frame = frame
            return
        self._closing = self.dropping
        if not self.dropping:
            self._stream.write(remove_colorstr(self._frame).lstrip("\r").removeprefix(CLEAR))

    def write(self, text: str) -> int:
        """Write `text`, unless it is the line break after a bar that was not drawn."""
        closing, self._closing = self._closing, False
        return len(text) if closing and text == "\n" else self._stream.write(text)


def _filtered(keep: Callable[[logging.LogRecord], bool]) -> Callable[[], None]:
    """Let only some records pass, or change them; return what undoes it."""
    handlers = list(LOGGER.handlers)
    for handler in handlers:
        handler.addFilter(keep)

    def undo() -> None:
        for handler in handlers:
            handler.removeFilter(keep)

    return undo


def _without_colours(record: logging.LogRecord) -> bool:
    record.msg, record.args = remove_colorstr(record.getMessage()), ()
    return True


def _set_environment(name: str, value: str) -> Callable[[], None]:
    before = os.environ.get(name)
    os.environ[name] = value

    def undo() -> None:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before

    return undo


def _losses(trainer: BaseTrainer) -> dict[str, float]:
    """Return the mean losses of the epoch by their short names."""
    found = trainer.label_loss_items(trainer.tloss, prefix="")
    return {
        name.strip("/").removesuffix("_loss"): float(value) for name, value in dict(found).items()
    }

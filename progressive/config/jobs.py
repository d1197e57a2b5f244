"""The jobs that Hydra composes: what each is to train, checked before the first one starts."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from pathlib import Path
from typing import Any, NoReturn, cast

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from progressive.config.foreign import refuse_targets
from progressive.config.hydra_errors import fail, one_line
from progressive.config.model import GROUPS, Config, validate
from progressive.detectors.model_file import find_model, task_of
from progressive.errors import ConfigError, InputError

#: More jobs of a sweep than this are not composed ahead of time; each is still checked when it
#: starts.
MAX_JOBS_CHECKED = 256


def to_config(composed: DictConfig, hydra: Any) -> Config:
    """Return a composed job as a validated configuration with the run folder that it is to have.

    Args:
        composed: the job, with or without Hydra's own section.
        hydra: that section.

    Raises:
        ConfigError: one line about the first mistake.
    """
    refuse_targets(hydra)
    names = [str(name) for name in composed if name != "hydra"]
    if composed.get("extended"):
        raise ConfigError("extended: is kept by resume; write resume=FOLDER epochs=EPOCHS")
    given = _names(hydra.overrides.task)
    if composed.get("resume") is not None:
        _check_resume(given, str(composed.resume), hydra.run.dir)
    raw: Any = OmegaConf.to_container(OmegaConf.masked_copy(composed, names), resolve=True)
    if raw.get("model") is not None:
        raw |= _of_model(str(raw["model"]), raw["task"], hydra)
    if composed.get("resume") is not None and "epochs" in given:
        unused = {"stages": 1, "durations": None, "sizes": None}  # the run has its own
        raw |= {key: value for key, value in unused.items() if key not in given}
    config = validate(raw)
    if config.resume is not None:
        return config.given(given)
    return config.model_copy(update={"output": _run_folder(config.output, hydra)})


def _of_model(model: str, task: str, hydra: Any) -> dict[str, Any]:
    """Return the keys that follow from `model`, after checking that no other says otherwise.

    Args:
        model: as it was written.
        task: that was composed.
        hydra: Hydra's own section.
    """
    written = {re.split("[=@.]", o.lstrip("+~"))[0] for o in _written(hydra.overrides.task)}
    chosen = hydra.runtime.choices
    for group, usual in (("backbone", ("for_cpu", "for_gpu")), ("head", ("yolov10",))):
        if group in written or chosen.get(group) not in usual:
            raise ConfigError(
                f"model={model}: is whole, with a backbone and a head of its own; give either "
                f"model or {group}"
            )
    try:
        found = find_model(model)
        own = task_of(found)
    except InputError as error:
        raise ConfigError(str(error)) from None
    if "task" in written and task != own:
        raise ConfigError(f"task={task}: model={model} is for task={own}; leave task out")
    return {"model": str(found), "task": own, "backbone": None, "head": None}


class CheckFirst(Callback):
    """Check a run, or every job of a sweep, before Hydra makes a folder or starts a job.

    Args:
        precheck: what else to check of the configurations; raises InputError.
        report: what to do with the folder of a sweep that has ended.
        show: arguments of Hydra's `show_cfg`, to print every job of a sweep instead of running it.
    """

    def __init__(
        self,
        precheck: Callable[[Sequence[Config]], None],
        report: Callable[[Path], None],
        show: Mapping[str, Any] | None = None,
    ) -> None:
        self.precheck = precheck
        self.report = report
        self.show = show
        self._new: list[Path] = []

    def on_run_start(self, config: DictConfig, **_: object) -> None:
        """Check a single run."""
        with _no_way_past():
            checked, hydra = _checked(config), config.hydra
            if hydra.output_subdir is None and hydra.job_logging.get("root") is None:
                # Hydra has nothing to write: the run checks the rest, then makes its folder.
                with read_write(hydra), open_dict(config):
                    config.output, hydra.run.dir = checked.output, "."
            else:
                self._precheck([checked])

    def on_multirun_start(self, config: DictConfig, **_: object) -> None:
        """Check the jobs of a sweep; only those of Hydra's own sweeper are known ahead."""
        folder = Path(config.hydra.runtime.cwd, config.hydra.sweep.dir)
        self._new = [place for place in (folder, *folder.parents) if not place.exists()]
        known = str(config.hydra.sweeper._target_).endswith(f".{BasicSweeper.__name__}")
        with _no_way_past():
            jobs = _jobs(config) if known else []
            if self.show is not None:
                if not known:
                    raise ConfigError("--cfg: the jobs of this sweeper are not known ahead")
                _show(config, jobs, self.show)
                raise SystemExit
            checked = [_checked(job) for job in _composed(config, jobs[:MAX_JOBS_CHECKED])]
            _refuse_shared([str(job.output) for job in checked if job.resume is None])
            self._precheck(checked)

    def on_multirun_end(self, config: DictConfig, **_: object) -> None:
        """Report on a sweep; with log=json the lines of its jobs alone are on standard output."""
        if config.dry_run:
            _remove_hydras(self._new)
            return
        folder = Path(config.hydra.runtime.cwd, config.output or config.hydra.sweep.dir)
        with redirect_stdout(sys.stderr) if config.log == "json" else nullcontext():
            self.report(folder)

    def _precheck(self, jobs: Sequence[Config]) -> None:
        try:
            self.precheck(jobs)
        except InputError as error:
            fail(error)
        except ValueError as error:  # a defect of ours, not a mistake in the input
            raise RuntimeError(str(error)) from error


def _refuse_shared(folders: Sequence[str]) -> None:
    """Raise ConfigError if two jobs of a sweep would have one run folder."""
    ((folder, jobs),) = Counter(folders).most_common(1) or [("", 0)]
    if jobs > 1:
        raise ConfigError(f"hydra.sweep.subdir: {jobs} jobs would share {folder}")


def _checked(composed: DictConfig) -> Config:
    HydraConfig.instance().set_config(composed)  # for interpolations that ask Hydra
    return to_config(composed, composed.hydra)


@contextmanager
def _no_way_past() -> Iterator[None]:
    """End the process with any exception: Hydra would turn it into a warning and go on."""
    try:
        with one_line():
            yield
    except Exception:
        try:
            traceback.print_exc()
        finally:
            raise SystemExit(1) from None


def _remove_hydras(new: Sequence[Path]) -> None:
    """Remove what Hydra has written for a sweep of dry runs.

    Args:
        new: the folder of the sweep and those above it, as far as they were not there before.
    """
    for folder in new[:1]:
        (folder / "multirun.yaml").unlink(missing_ok=True)
        for place in [*sorted(folder.rglob("*"), reverse=True), *new]:
            with suppress(OSError):  # not empty, or a file: of somebody else
                place.rmdir()


def _run_folder(output: str | None, hydra: Any) -> str | None:
    """Return `output`, or what Hydra has in its place; jobs of a sweep get one each."""
    if hydra.mode == RunMode.MULTIRUN:
        parent = output or Path(hydra.runtime.cwd, hydra.sweep.dir)
        return str(Path(parent, hydra.sweep.subdir))
    if hydra.run.dir == ".":
        return output
    if output is not None:
        raise ConfigError(f"output={output}: give either this or hydra.run.dir={hydra.run.dir}")
    return str(Path(hydra.runtime.cwd, hydra.run.dir))


def _check_resume(given: list[str], resume: str, folder: str) -> None:
    """Refuse what stands for many keys; what each key may be is for the run to say."""
    if refused := sorted(set(given) & ({*GROUPS} - {*Config.model_fields})):
        raise ConfigError(
            f"{refused[0]}: cannot be changed by resume, which goes on with the run's own settings"
        )
    if folder != ".":
        raise ConfigError(f"hydra.run.dir={folder}: cannot be changed by resume")
    if resume != "True" and not (resume and os.path.lexists(Path(resume).expanduser())):
        raise ConfigError(f"resume={resume}: has no checkpoint; name a run folder")


def _names(overrides: Any) -> list[str]:
    """Return the keys that overrides set."""
    return [re.split("[=@]", override.lstrip("+~"))[0] for override in _written(overrides)]


def _written(overrides: Any) -> list[str]:
    """Return overrides as they were written, interpolations and all."""
    return cast(list[str], OmegaConf.to_container(overrides, resolve=False))


def _jobs(config: DictConfig) -> list[list[str]]:
    """Return the overrides of every job of a sweep, as Hydra's own sweeper will."""
    swept = [f"{name}={value}" for name, value in (config.hydra.sweeper.params or {}).items()]
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    overrides = parser.parse_overrides([*swept, *_written(config.hydra.overrides.task)])
    for override in overrides:
        if override.is_discrete_sweep() and not [*override.sweep_string_iterator()]:
            _refuse_nothing(override)
    (jobs,) = BasicSweeper.split_arguments(overrides, max_batch_size=None)
    return jobs


def _refuse_nothing(override: Override) -> NoReturn:
    """Raise ConfigError for a sweep over no value, of which Hydra makes no job without a word."""
    name = override.key_or_group
    if not isinstance(override.value(), Glob):
        hint = "has no value"
    elif name in GROUPS:
        hint = f"no option of {name} is called so; --help lists them"
    else:
        files = "FILE" if name == "model" else "VALUE"
        hint = f"glob finds options of a group, and {name} is none; write {name}={files},{files}"
    raise ConfigError(f"{override.input_line}: {hint}")


def _composed(config: DictConfig, jobs: list[list[str]]) -> Iterator[DictConfig]:
    """Compose the jobs of a sweep as Hydra's launcher will."""
    loader = GlobalHydra.instance().config_loader()
    str(config.hydra.sweep.dir)  # has a time in it, which all jobs are to share
    for number, overrides in enumerate(jobs):
        job = loader.load_sweep_config(config, overrides)
        with open_dict(job):
            job.hydra.job.id = job.hydra.job.num = number
        yield job


def _show(config: DictConfig, jobs: list[list[str]], options: Mapping[str, Any]) -> None:
    hydra, name = GlobalHydra.instance().hydra, config.hydra.job.config_name
    assert hydra is not None
    for job in jobs:
        print(f"---\n# {' '.join(job)}")
        hydra.show_cfg(name, [*_written(config.hydra.overrides.hydra), *job], **options)

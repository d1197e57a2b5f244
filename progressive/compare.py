"""Compare ways of training: `python -m progressive.compare data=my/data.yaml seeds=[0,1,2]`.

Compose the arms, check them all, train each with every seed in a process of its own, read the
records, say what follows.
"""

from __future__ import annotations

if __name__ == "__main__":  # before anything slow is imported
    from progressive.signals import Interruption

    Interruption().install()

import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from progressive.comparison.arms import Arm, check_all_differ, check_only_named, rotation
from progressive.comparison.optimizer import auto_choice, optimizer_steps
from progressive.comparison.outcome import LABELS, Trained, outcome, table
from progressive.comparison.processes import Run, check_reuse, take_turns
from progressive.comparison.progress import Progress
from progressive.comparison.results import Result, read_result
from progressive.comparison.train import (
    MULTI_SCALE,
    check_train_arguments,
    stock_schedule,
    stock_settings,
)
from progressive.config.command_line import compose_config
from progressive.config.comparing import HELP, Request, key_of, read_request, written
from progressive.config.hydra_errors import fail
from progressive.config.machine import has_gpu
from progressive.config.model import Config
from progressive.data import DatasetInfo, resolve
from progressive.data.embedded.cache import cache_root
from progressive.data.selection import images_used
from progressive.errors import ConfigError, InputError
from progressive.machine import available_cpus, stay_offline
from progressive.run import precheck, preflight_all
from progressive.runs.environment import OTHER_TRAINERS, processor
from progressive.runs.html import write_report
from progressive.runs.lock import locked, refuse_if_locked
from progressive.runs.records import write_json
from progressive.signals import installed

#: All numbers of a comparison, in its folder.
COMPARE = "compare.json"


@dataclass(frozen=True)
class Contender:
    """An arm with the configuration it is trained with and the overrides that come to it."""

    arm: Arm
    config: Config
    overrides: tuple[str, ...]


def main() -> None:
    """Run the command line."""
    arguments = sys.argv[1:]
    if {"-h", "--help"} & set(arguments):
        print(HELP, end="")
        return
    try:
        compare(arguments)
    except InputError as error:
        fail(error)


def compare(arguments: Sequence[str]) -> dict[str, Any] | None:
    """Train what `arguments` ask for and print what follows.

    Returns:
        What `compare.json` holds; None for a dry run.

    Raises:
        InputError: for bad input, before anything is written; or a run has failed.
    """
    request = read_request(arguments)
    runs, folder, notes = _plan(request)
    if request.base.dry_run:
        return None
    print(f"\nFolder: {folder}\n", flush=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(_impossible(folder, error)) from None
    if interruption := installed():
        interruption.as_exceptions()  # runs are ours to end
    try:
        with locked(folder, f"output={folder}"):
            results = _train(runs, request.base)
    except KeyboardInterrupt:
        print(f"\nInterrupted. The same command with output={folder} goes on.", file=sys.stderr)
        raise SystemExit(interruption.code if interruption else 130) from None
    found = outcome(
        {name: _trained(name, runs, results, folder) for name in request.arms},
        seeds=request.comparison.seeds,
        baseline=str(request.comparison.baseline),
        margin=request.comparison.margin,
        task=request.base.task,
    )
    found |= {"notes": notes, "arguments": list(arguments), "machine": _machine(request.base)}
    write_json(folder / COMPARE, found)
    print(f"\n{table(found)}\n\n{found['verdict']}\n\nAll numbers: {folder / COMPARE}")
    print(f"Report:      {write_report(folder)}")
    return found


def _plan(request: Request) -> tuple[list[Run], Path, list[str]]:
    """Check everything and print what is going to be trained.

    Returns:
        The runs in their order, the folder of the comparison, and notes on what was pinned.
    """
    base, seeds = request.base, request.comparison.seeds
    stay_offline(cache_root() / "fonts")
    contenders = [_contender(request, name) for name in request.arms]
    _check(contenders, base)
    folder = _folder(base.output)
    dataset = resolve(base.data, base.task)
    contenders, notes = _with_one_optimizer(request, contenders, dataset)
    check_all_differ([contender.arm for contender in contenders])
    runs = _runs(contenders, seeds, folder)
    check_reuse(runs, _place(base))
    for run in runs:
        if run.finished:  # before anything else is trained; read again when all are
            read_result(run.folder, base.task)
            run.trained_by  # noqa: B018
    print(_title(contenders, seeds), *notes, sep="\n", flush=True)
    return runs, folder, notes


def _contender(request: Request, name: str, pinned: Mapping[str, Any] | None = None) -> Contender:
    """Compose an arm; `pinned` are arguments of the trainer that it is given besides."""
    chosen = [o.partition("=")[2] for o in request.arms[name] if key_of(o) == "trainer"]
    trainer = chosen[-1] if chosen else "progressive"
    own = [o for o in request.arms[name] if key_of(o) != "trainer"]
    own += [f"train.{key}={value}" for key, value in (pinned or {}).items()]
    named = [key_of(override) for override in own]
    overrides = [*(o for o in request.overrides if key_of(o) not in named), *own]
    device = _devices(request.base)[0]
    try:
        config = compose_config([*overrides, *([f"device={device}"] if device else [])])
    except ConfigError as error:
        raise ConfigError(f"arm {name}: {error}") from None
    arm = Arm(name, trainer, tuple(own), _settings(config), config.schedule())
    check_only_named(arm, _settings(request.base), named)
    config = stock_settings(config, overrides, trainer)
    schedule = stock_schedule(config) if trainer == "stock" else arm.schedule
    arm = replace(arm, settings=_settings(config), schedule=schedule)
    return Contender(arm, config, tuple(overrides))


def _settings(config: Config) -> dict[str, Any]:
    settings = config.model_dump(mode="json")
    if Path(config.data).exists():
        settings["data"] = str(Path(config.data).resolve())
    return settings


def _check(contenders: Sequence[Contender], base: Config) -> None:
    """Check all arms as a run of each would, before the first one starts."""
    check_all_differ([contender.arm for contender in contenders])
    jobs = []
    for contender in contenders:
        if contender.arm.trainer == "multi_scale" and base.task == "classify":
            raise ConfigError(
                f"arm {contender.arm.name}: task=classify: Ultralytics never rescales the batches "
                "of a classifier, so it would be the arm fixed"
            )
        try:
            here = {"device": base.device, "output": None, "dry_run": base.dry_run}
            job = contender.config.model_copy(update=here)
            jobs.append((job, precheck(job)))
            check_train_arguments(contender.arm.trainer, contender.config)
        except InputError as error:
            raise ConfigError(f"arm {contender.arm.name}: {error}") from None
    preflight_all(jobs)


def _with_one_optimizer(
    request: Request, contenders: Sequence[Contender], dataset: DatasetInfo
) -> tuple[list[Contender], list[str]]:
    """Give our arms what `optimizer=auto` chooses for the longest of them, and say so."""
    automatic = [c for c in contenders if _automatic(c.config)]
    ours = [c for c in automatic if c.arm.trainer != "stock"]
    notes = []
    if ours:
        longest = max(ours, key=lambda c: _steps(c.config, dataset))
        pinned = _auto_choice(longest.config, dataset)
        shown = " ".join(f"train.{key}={value}" for key, value in pinned.items())
        names = ", ".join(c.arm.name for c in ours)
        notes.append(
            f"optimizer=auto depends on the number of steps, so it is pinned to what the longest "
            f"arm gets: {shown} for {names}."
        )
        changed = {c.arm.name: _contender(request, c.arm.name, pinned) for c in ours}
        contenders = [changed.get(c.arm.name, c) for c in contenders]
    for contender in automatic:
        if contender not in ours:
            choice = _auto_choice(contender.config, dataset)
            notes.append(
                f"{contender.arm.name} is left to optimizer=auto, which will take "
                f"{choice['optimizer']} with lr0={choice['lr0']}."
            )
    return list(contenders), notes


def _automatic(config: Config) -> bool:
    return str(config.train.get("optimizer", "auto")).lower() == "auto"


def _auto_choice(config: Config, dataset: DatasetInfo) -> dict[str, Any]:
    classes = 1 if config.train.get("single_cls") else len(dataset.names)
    return auto_choice(_steps(config, dataset), classes)


def _steps(config: Config, dataset: DatasetInfo) -> int:
    nominal = int(config.train.get("nbs", 64))
    images = images_used(dataset.train_images, config.train)
    return optimizer_steps(images, config.batch, nominal, config.epochs)


def _folder(output: str | None) -> Path:
    """Return the folder of the comparison, new or to be continued; make nothing."""
    if output is None:
        return Path("runs", f"compare-{time.strftime('%Y-%m-%d_%H-%M-%S')}").resolve()
    try:
        folder = Path(output).expanduser().resolve()
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"output={output}: is no folder")
        refuse_if_locked(folder, f"output={output}")
        if folder.is_dir() and any(folder.iterdir()) and not any(folder.glob("*/seed*.json")):
            raise ConfigError(
                f"output={output}: is not empty and holds no comparison; name another"
            )
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(_impossible(output, error)) from None
    return folder


def _impossible(output: str | Path | None, error: Exception) -> str:
    return f"output={output!s}: {getattr(error, 'strerror', None) or error}"


def _runs(contenders: Sequence[Contender], seeds: Sequence[int], folder: Path) -> list[Run]:
    by_arm = {contender.arm.name: contender for contender in contenders}
    runs = []
    for arm, seed in rotation(seeds, [contender.arm for contender in contenders]):
        place = folder / arm.name / f"seed{seed}"
        overrides = by_arm[arm.name].overrides
        ours = arm.trainer == "progressive"
        module = ("progressive.run",) if ours else (OTHER_TRAINERS, arm.trainer)
        where = (f"seed={seed}", written("output", place))
        go_on = written("resume", place)
        runs.append(Run(arm, seed, place, module, (*overrides, *where), go_on))
    return runs


def _train(runs: Sequence[Run], base: Config) -> dict[str, Result]:
    """Train what is not finished; return the result of each run by its name."""
    devices = _devices(base)
    progress = Progress(runs, len(devices))
    results = {}

    def tell(run: Run, seconds: float) -> None:
        factor = 1 + MULTI_SCALE**2 / 3 if run.arm.trainer == "multi_scale" else 1.0
        result = results[run.name] = read_result(run.folder, base.task, factor)
        metric, score = next(iter(result.last.items()))
        print(progress.line(run, seconds, f"{LABELS[metric]} {score:.3f}"), flush=True)

    take_turns(runs, devices, _place(base), tell)
    return results


def _trained(
    name: str, runs: Sequence[Run], results: Mapping[str, Result], folder: Path
) -> Trained:
    own = [run for run in runs if run.arm.name == name]
    return Trained(
        runs=[str(run.folder.relative_to(folder)) for run in own],
        commands=[run.trained_by for run in own],
        results=[results[run.name] for run in own],
    )


def _place(config: Config) -> dict[str, Any]:
    """Return what the times of a run depend on beside its settings."""
    gpu = has_gpu() if config.device is None else config.device != "cpu"
    return {"kind": "cuda" if gpu else "cpu", "processor": processor()}


def _devices(config: Config) -> list[str | None]:
    """Return where runs are trained, one at a time on each."""
    return [None] if config.device is None else list(config.device.split(","))


def _title(contenders: Sequence[Contender], seeds: Sequence[int]) -> str:
    arms = [
        f"  {c.arm.name}: {' '.join(c.arm.overrides) or 'as configured'}"
        + ("" if c.arm.trainer == "progressive" else f" (trainer {c.arm.trainer})")
        for c in contenders
    ]
    count = len(contenders) * len(seeds)
    title = f"{count} runs: {len(contenders)} arms, seeds {', '.join(map(str, seeds))}"
    return "\n".join([title, *arms])


def _machine(config: Config) -> dict[str, Any]:
    """Say where this was measured."""
    names = ("torch", "ultralytics", "timm", "progressive-learning")
    found: dict[str, Any] = {
        "processor": processor(),
        "cores": available_cpus(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "device": config.device,
        "versions": {name: version(name) for name in names},
    }
    if config.device != "cpu":
        import torch

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        found["gpus"] = [torch.cuda.get_device_name(index) for index in range(count)]
    return found


if __name__ == "__main__":
    main()

"""What this machine offers, and what a run may do on it."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from progressive.errors import ConfigError


def available_cpus() -> int:
    """Return how many cores this process may use, heeding its affinity and control group."""
    from joblib import cpu_count

    return cpu_count()


def available_memory(group: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many bytes this process may still take, heeding its control group.

    Args:
        group: folder of the control group (version 2); with none there, that of the machine counts.
    """
    import psutil

    free = psutil.virtual_memory().available
    try:
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        lines = (group / "memory.stat").read_text().splitlines()
        cached = int(dict(line.split() for line in lines)["inactive_file"])
    except (OSError, ValueError, KeyError):  # no control group, or one without a limit
        return free
    return max(0, min(free, limit - used + cached))


def mixed_opencv() -> str | None:
    """Say so if the two distributions of OpenCV, which share the folder cv2, differ in version.

    Ultralytics asks for one and Albumentations for the other. What is installed last overwrites the
    files of the first, and of two versions a mixture stays.
    """
    found = {}
    for name in ("opencv-python", "opencv-python-headless"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    if len(set(found.values())) < 2:
        return None
    newest = max(found.values(), key=lambda text: [int(n) for n in text.split(".") if n.isdigit()])
    pinned = " ".join(f"{name}=={newest}" for name in found)
    shown = " and ".join(f"{name} {number}" for name, number in found.items())
    return f"{shown} share the folder cv2; pip install --force-reinstall --no-deps {pinned}"


def check_device(device: str | None) -> None:
    """Raise ConfigError if torch cannot use `device`, spelled as Ultralytics does."""
    if device is None or device == "cpu":
        return
    import torch

    if device == "mps":
        if not torch.backends.mps.is_available():
            raise ConfigError("device=mps: torch finds no Apple GPU here; use device=cpu")
        return
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for index in device.split(","):
        if int(index) >= count:
            there = f"torch finds {count} GPU(s) here" if count else "torch finds no GPU here"
            raise ConfigError(f"device={device}: {there}; use device=cpu or leave it out")


def go_offline() -> None:
    """Tell Ultralytics and Albumentations not to ask anyone; must precede their import."""
    os.environ.setdefault("YOLO_OFFLINE", "1")
    os.environ.setdefault("YOLO_AUTOINSTALL", "0")
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")


def stay_offline(fonts: Path) -> None:
    """Keep Ultralytics and Albumentations from the network; must precede their import.

    Ultralytics asks a server for the font of its plots unless matplotlib knows a file of that
    name, so the font that matplotlib ships is offered under it.

    Args:
        fonts: folder to keep that font in; where it cannot be written, one for this process only.
    """
    go_offline()
    from matplotlib import font_manager

    known = {Path(font.fname).name for font in font_manager.fontManager.ttflist}
    for name in sorted({"Arial.ttf", "Arial.Unicode.ttf"} - known):
        try:
            _copy_font(fonts / name)
        except OSError:  # a cache that is full, read-only or no folder
            fonts = Path(tempfile.mkdtemp())
            atexit.register(shutil.rmtree, fonts, ignore_errors=True)
            _copy_font(fonts / name)
        font_manager.fontManager.addfont(fonts / name)


def _copy_font(path: Path) -> None:
    """Copy the font that matplotlib ships, in one step, unless it is there."""
    from matplotlib import font_manager

    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    shutil.copy(font_manager.findfont("DejaVu Sans"), beside)
    beside.replace(path)

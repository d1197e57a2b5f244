"""Who may import whom: the rules that keep planning light and each room testable alone."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "ultralytics", "timm", "albumentations", "cv2", "sklearn", "numpy"}
HYDRA = {"hydra", "omegaconf"}

#: The rooms of the package. A module belongs to the first room whose name it starts with; it may
#: import from its own room, from those listed and from `errors`. Imports count wherever they
#: stand, also in functions and for types only.
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "safe_loading.pickles": set(),
    "safe_loading.arrays": {"safe_loading.pickles"},
    "safe_loading": {"safe_loading.pickles", "safe_loading.arrays"},
    "machine": set(),
    "checks": set(),
    "lengths": {"checks"},
    "signals": set(),
    "schedule": {"checks", "lengths"},
    "cost": {"schedule"},
    "tracking": {"schedule"},
    "console": set(),
    "prediction": {"schedule"},
    "pitfalls": {"schedule"},
    "regularize": set(),
    "augment": set(),
    "detectors.timm_names": set(),
    "detectors.catalog": {"detectors.timm_names"},
    "detectors.model_file": {"safe_loading.pickles"},
    "detectors": {
        *("detectors.catalog", "detectors.timm_names", "detectors.model_file"),
        *("safe_loading", "signals"),
    },
    "gradients": {"detectors", "detectors.catalog"},
    "config": {
        *("schedule", "lengths", "cost", "detectors.catalog", "detectors.model_file"),
        *("tracking", "console"),
    },
    "data.embedded": set(),
    "data.preflight.images": set(),
    "data": {"data.embedded", "data.preflight.images", "safe_loading.arrays"},
    "runs": {"schedule", "cost", "prediction"},
    "comparison": {"schedule", "cost", "runs"},
    "hosts.shared": {"schedule", "augment", "regularize", "cost", "tracking"},
    "hosts.lightning": {"schedule", "hosts.shared", "tracking"},
    "hosts.pytorch": {"schedule", "hosts.shared"},
    "hosts.transformers": {"schedule", "hosts.shared", "tracking"},
    "hosts.ultralytics": {
        *("schedule", "augment", "regularize", "runs", "cost", "prediction", "machine"),
        *("safe_loading", "safe_loading.arrays", "pitfalls", "signals"),
        *("tracking", "console", "data.preflight.images"),
    },
}

#: They put the rooms together and may import everything.
ENTRY_POINTS = {
    *("", "__main__", "run", "building", "resume", "telling", "training"),
    *("report", "compare", "comparison.train"),
    *("detectors.__main__", "gradients.__main__", "gradients.command"),
}

#: Packages of others that only some rooms may know.
ONLY = {
    "hydra": {"config"},
    "omegaconf": {"config"},
    "pydantic": {"config"},
    "lightning": {"hosts.lightning"},
    "transformers": {"hosts.transformers"},
    "ultralytics": {"detectors", "hosts.ultralytics"},
    "albumentations": {"augment", "hosts.shared", "hosts.ultralytics"},
    "sklearn": {"data.embedded"},
    "scipy": {"comparison"},
    "timm": {"detectors"},
}

#: Rooms of the standard library alone, aside from what `runs` draws, writes and reads with.
PLAIN = {
    "errors": set(),
    "checks": set(),
    "safe_loading.pickles": set(),
    "safe_loading.arrays": set(),
    "signals": set(),
    "schedule": set(),
    "cost": set(),
    "tracking": set(),
    "console": set(),
    "prediction": set(),
    "pitfalls": set(),
    "detectors.timm_names": set(),
    "detectors.catalog": set(),
    "detectors.model_file": {"yaml"},
    "runs": {"tabulate", "jinja2", "matplotlib", "numpy", "yaml"},
}


@cache
def modules() -> dict[str, ast.Module]:
    """Return the syntax tree of every module, by its name without the package's."""
    found = {}
    for path in sorted((ROOT / "progressive").rglob("*.py")):
        parts = path.relative_to(ROOT / "progressive").with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        found[name] = ast.parse(path.read_text("utf-8"))
    return found


def targets(tree: ast.Module) -> set[str]:
    """Return the full names of all modules that a module imports."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide who imports whom"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            known = {name for name in inner if name.removeprefix("progressive.") in modules()}
            found |= known or {str(node.module)}
    return found


@cache
def own_imports() -> dict[str, set[str]]:
    """Return which modules of the package each of them imports."""
    return {
        name: {
            target.removeprefix("progressive").lstrip(".")
            for target in targets(tree)
            if target.partition(".")[0] == "progressive"
        }
        for name, tree in modules().items()
    }


def room(module: str) -> str:
    matching = [name for name in ROOMS if f"{module}.".startswith(f"{name}.")]
    return max(matching, key=len, default="")


def test_every_module_has_a_room():
    homeless = {name for name in modules() if not room(name)} - ENTRY_POINTS - {"hosts"}
    assert not homeless


def test_rooms_import_only_what_they_may():
    wrong = [
        f"{name} imports {target}"
        for name, found in own_imports().items()
        if name not in ENTRY_POINTS
        for target in found
        if room(target) not in {room(name), "errors", *ROOMS.get(room(name), ())}
    ]
    assert not wrong


def test_packages_of_others_are_known_where_they_belong():
    wrong = []
    for name, tree in modules().items():
        packages = {target.partition(".")[0] for target in targets(tree)}
        wrong += [
            f"{name} imports {package}"
            for package in packages & set(ONLY)
            if name not in ENTRY_POINTS and room(name) not in ONLY[package]
        ]
        if room(name) in PLAIN:
            plain = {*sys.stdlib_module_names, "progressive", *PLAIN[room(name)]}
            wrong += [f"{name} imports {package}" for package in packages - plain]
    assert not wrong


#: What reads files in ways that can execute them, or executes text.
EXECUTES = {
    *(
        "torch.load",
        "torch_load",
        "pickle.load",
        "pickle.loads",
        "joblib.load",
        "cloudpickle.loads",
    ),
    *("yaml.load", "yaml.unsafe_load", "yaml.full_load", "eval", "exec", "torch.hub.load"),
    *("np.load", "numpy.load", "torch.jit.load", "runpy.run_path"),
}


def test_only_one_door_reads_files_that_could_execute():
    found = {
        name: {ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)} & EXECUTES
        for name, tree in modules().items()
    }
    assert {name: calls for name, calls in found.items() if calls} == {
        "safe_loading.checkpoints": {"torch.load"},
        "safe_loading.weights": {"torch.load"},
    }
    for name in ("safe_loading.checkpoints", "safe_loading.weights"):
        for call in ast.walk(modules()[name]):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "torch.load":
                assert "weights_only=True" in ast.unparse(call)


def test_no_module_imports_itself_in_a_circle():
    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for target in own_imports().get(waiting.pop(), ()):
                if target not in seen:
                    seen.add(target)
                    waiting.append(target)
        return seen

    assert not [name for name in modules() if name in reachable(name)]


def imported(module):
    """Return the top-level packages in `sys.modules` after importing `module` afresh."""
    code = f"import {module}, sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("progressive", HEAVY | HYDRA | {"pydantic"}),
        ("progressive.schedule", HEAVY | HYDRA | {"yaml"}),
        ("progressive.signals", HEAVY | HYDRA | {"yaml", "pydantic"}),
        ("progressive.runs.checkpoints", HEAVY | HYDRA | {"yaml", "safetensors"}),
        ("progressive.cost", HEAVY | HYDRA | {"yaml"}),
        ("progressive.runs.records", HEAVY | HYDRA | {"yaml"}),
        ("progressive.runs.report", {"torch", "ultralytics", "timm", "hydra"}),
        ("progressive.runs.environment", HEAVY | HYDRA | {"yaml"}),
        ("progressive.runs.html", HEAVY - {"numpy"} | HYDRA),
        ("progressive.report", HEAVY | HYDRA),
        ("progressive.comparison.outcome", {"torch", "ultralytics", "timm"} | HYDRA),
        ("progressive.config.model", HEAVY | HYDRA),
        ("progressive.config.command_line", HEAVY),
        ("progressive.data", HEAVY | HYDRA),
        ("progressive.detectors", HEAVY | HYDRA),
        ("progressive.detectors.catalog", HEAVY | HYDRA),
        ("progressive.augment", {"ultralytics", "timm"} | HYDRA),
        ("progressive.regularize", {"ultralytics", "timm", "albumentations"} | HYDRA),
        ("progressive.hosts.ultralytics.refusals", HEAVY | HYDRA),
        ("progressive.hosts.ultralytics.callback", HYDRA),
        ("progressive.hosts.pytorch", {"ultralytics", "timm", "transformers"} | HYDRA),
        ("progressive.hosts.transformers", {"ultralytics", "timm"} | HYDRA),
    ],
)
def test_light_rooms_stay_light(module, forbidden):
    assert not imported(module) & forbidden


def test_public_names_are_there():
    import progressive

    other = dict.fromkeys(("LightningCallback", "TransformersCallback"), "ProgressiveCallback")
    for name in progressive.__all__:
        assert getattr(progressive, name).__name__ == other.get(name, name)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = progressive.nonsense


def test_importing_the_package_takes_no_time():
    code = (
        "import time; t = time.perf_counter(); import progressive; print(time.perf_counter() - t)"
    )
    times = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        times.append(float(done.stdout))
        time.sleep(0.05)
    assert min(times) < 0.2


def test_files_stay_small():
    lengths = {
        path: len(path.read_text("utf-8").splitlines())
        for folder in ("progressive", "scripts", "tests", "examples")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert not {path.name: length for path, length in lengths.items() if length > 400}

"""The embedded detection data set: scenes composed from scikit-learn's handwritten digits.

`digits()` writes it once into the cache and returns its `data.yaml`. It needs no download: the
1,797 digits are in the scikit-learn wheel. Digits run from 14 to 110 pixels in height, so the
image size a detector is trained at decides what it can see.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from progressive.data.cache import build_once, cache_root, fingerprint

if TYPE_CHECKING:
    import numpy as np

    from progressive.data.scenes import Scene

NAMES = tuple("0123456789")
SPLITS = ("train", "val")


@dataclass(frozen=True)
class DigitsSpec:
    """Everything the data set depends on; a changed value is a new folder in the cache.

    Ranges are inclusive; lengths are in pixels of the scene.
    """

    revision: int = 1
    """Raise it when the drawing code changes what is drawn."""
    seed: int = 2104
    train_scenes: int = 384
    val_scenes: int = 128
    held_out: float = 0.25
    """Share of every class's samples that only validation scenes may use."""
    side: int = 256
    count: tuple[int, int] = (3, 8)
    """Digits in a scene."""
    height: tuple[float, float] = (14.0, 110.0)
    """Height of a digit before it is turned, drawn log-uniformly."""
    rotation: float = 12.0
    """Largest turn of a digit, degrees either way."""
    max_cover: float = 0.08
    """Largest share of the smaller of two boxes that may lie under the other."""
    contrast: tuple[float, float] = (65.0, 150.0)
    """Difference in grey level, of 255, between ink and the background under it."""
    fragments: tuple[int, int] = (0, 3)
    """Scrambled, unlabelled pieces of digits in a scene."""
    strokes: tuple[int, int] = (1, 5)
    """Lines in a scene, and separately blobs."""
    jpeg_quality: int = 95

    def scenes(self, split: str) -> int:
        """Return the number of scenes of `split`, 'train' or 'val'."""
        return {"train": self.train_scenes, "val": self.val_scenes}[split]

    def fingerprint(self) -> str:
        """Return eight hexadecimal digits that change with any value of the spec."""
        return fingerprint(self)


SPEC = DigitsSpec()


def digits(root: Path | None = None, spec: DigitsSpec = SPEC) -> Path:
    """Return the absolute path of the data set's `data.yaml`, generating the set if needed.

    Args:
        root: cache folder; by default the one of `cache_root()`.
        spec: what to generate; the default is the data set this project reports results on.

    Raises:
        OSError: the cache folder cannot be written.
    """
    base = cache_root() if root is None else Path(root).absolute()
    folder = base / f"digits-{spec.fingerprint()}"
    build_once(folder, lambda made: _write(made, spec), lambda found: _complete(found, spec))
    return folder / "data.yaml"


def split_samples(labels: np.ndarray, held_out: float, seed: int) -> dict[str, np.ndarray]:
    """Divide samples between the splits, class by class, so that no sample is in both.

    Args:
        labels: class of each sample, shape (n,).
        held_out: share of each class that goes to 'val', between 0 and 1.
        seed: of the shuffle.

    Returns:
        Ascending sample indices for 'train' and 'val'.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    parts: dict[str, list[np.ndarray]] = {split: [] for split in SPLITS}
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        cut = round(len(members) * held_out)
        parts["val"].append(members[:cut])
        parts["train"].append(members[cut:])
    return {split: np.sort(np.concatenate(part)) for split, part in parts.items()}


def _write(folder: Path, spec: DigitsSpec) -> None:
    """Generate every scene of `spec` into `folder`, which exists and is empty."""
    import numpy as np
    from sklearn.datasets import load_digits

    from progressive.data.jpeg import jpeg
    from progressive.data.scenes import compose

    source = load_digits()
    pools = split_samples(source.target, spec.held_out, spec.seed)
    for part, split in enumerate(SPLITS):
        images, labels = folder / "images" / split, folder / "labels" / split
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for index in range(spec.scenes(split)):
            # A seed of its own for every scene: no scene depends on how many came before it.
            rng = np.random.default_rng([spec.seed, part, index])
            scene = compose(rng, spec, source.images, source.target, pools[split])
            (images / f"{index:04d}.jpg").write_bytes(jpeg(scene.image, spec.jpeg_quality))
            (labels / f"{index:04d}.txt").write_text(_label_lines(scene, spec.side), "utf-8")
    (folder / "data.yaml").write_text(_yaml(), "utf-8")


def _complete(folder: Path, spec: DigitsSpec) -> bool:
    """Whether `folder` holds as many images and labels as `spec` says, and the yaml."""
    counts = {
        (kind, split): sum(1 for _ in (folder / kind / split).glob(pattern))
        for kind, pattern in (("images", "*.jpg"), ("labels", "*.txt"))
        for split in SPLITS
    }
    expected = all(found == spec.scenes(split) for (_, split), found in counts.items())
    return expected and (folder / "data.yaml").is_file()


def _label_lines(scene: Scene, side: int) -> str:
    """One line a digit: class, centre x, centre y, width, height, as shares of the side."""
    lines = []
    for glyph in scene.digits:
        left, top, right, bottom = glyph.box
        centre = (left + right) / 2 / side, (top + bottom) / 2 / side
        size = (right - left) / side, (bottom - top) / side
        lines.append(" ".join([str(glyph.label), *(f"{v:.6f}" for v in (*centre, *size))]))
    return "\n".join(lines) + "\n"


def _yaml() -> str:
    # No `path`: Ultralytics then takes the yaml's own folder, right wherever the folder is moved.
    names = "\n".join(f"  {index}: '{name}'" for index, name in enumerate(NAMES))
    return (
        "# Scenes of handwritten digits, generated by progressive.data.digits.\n"
        f"train: images/train\nval: images/val\nnames:\n{names}\n"
    )

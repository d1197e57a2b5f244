"""The embedded classification data set: blurred against sharp patches of photographs.

`blur()` writes it once into the cache and returns its folder. It needs no download: the
photographs are in the packages this project depends on. No photograph is in both splits. Every
patch is there twice, blurred and sharp, with noise and JPEG compression of the same strengths, so
neither content nor brightness gives the class away. The weakest blur is one pixel wide: at half
the image size it can hardly be seen, so the image size decides how good a classifier can be.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from progressive.data.cache import build_once, cache_root, fingerprint
from progressive.data.photographs import Photograph

CLASSES = ("blurred", "sharp")
SPLITS = ("train", "val")


@dataclass(frozen=True)
class BlurSpec:
    """Everything the data set depends on; a changed value is a new folder in the cache.

    Ranges are inclusive; lengths are in pixels of the patch.
    """

    revision: int = 1
    """Raise it when the code changes what is drawn."""
    seed: int = 2104
    train: tuple[Photograph, ...] = (
        Photograph("ultralytics", "assets/bus.jpg", (0.4, 0.6), 0.5),
        Photograph("sklearn", "datasets/images/china.jpg", (0.5, 0.75), 0.35),
        Photograph("ultralytics", "assets/zidane.jpg", (0.33, 0.5), 0.15),
    )
    val: tuple[Photograph, ...] = (
        Photograph("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", (0.4, 0.5), 0.6),
        Photograph("sklearn", "datasets/images/flower.jpg", (0.4, 0.6), 0.4),
    )
    train_pairs: int = 400
    val_pairs: int = 150
    side: int = 128
    texture: float = 200.0
    """Variance of the Laplacian, in grey levels of 255, from which a block counts as textured."""
    textured: float = 0.5
    """Smallest share of textured blocks: a blurred wall looks like a sharp one."""
    sigma: tuple[float, float] = (1.0, 3.5)
    """Standard deviation of the blur, drawn log-uniformly."""
    exposure: tuple[float, float] = (0.6, 1.2)
    """Factor on the brightness of both patches of a pair."""
    noise: tuple[float, float] = (0.0, 5.0)
    """Standard deviation of the noise, in grey levels of 255, drawn for every patch."""
    jpeg_quality: tuple[int, int] = (70, 95)
    """Drawn for every patch."""

    def photographs(self, split: str) -> tuple[Photograph, ...]:
        """Return the photographs of `split`, 'train' or 'val'."""
        return {"train": self.train, "val": self.val}[split]

    def pairs(self, split: str) -> int:
        """Return the number of pairs of `split`, 'train' or 'val'."""
        return {"train": self.train_pairs, "val": self.val_pairs}[split]

    def fingerprint(self) -> str:
        """Return eight hexadecimal digits that change with any value of the spec."""
        return fingerprint(self)


SPEC = BlurSpec()


def blur(root: Path | None = None, spec: BlurSpec = SPEC) -> Path:
    """Return the absolute path of the data set's folder, generating the set if needed.

    Args:
        root: cache folder; by default the one of `cache_root()`.
        spec: what to generate; the default is the data set this project reports results on.

    Raises:
        DatasetError: a photograph is missing.
        OSError: the cache folder cannot be written.
    """
    base = cache_root() if root is None else Path(root).absolute()
    folder = base / f"blur-{spec.fingerprint()}"
    return build_once(folder, lambda made: _write(made, spec), lambda found: _complete(found, spec))


def _write(folder: Path, spec: BlurSpec) -> None:
    """Generate every pair of `spec` into `folder`, which exists and is empty."""
    import numpy as np

    from progressive.data.jpeg import jpeg
    from progressive.data.patches import cut_pair, expose

    for part, split in enumerate(SPLITS):
        for name in CLASSES:
            (folder / split / name).mkdir(parents=True)
        sources = spec.photographs(split)
        pixels = [source.read() for source in sources]
        shares = [source.share for source in sources]
        for index in range(spec.pairs(split)):
            # A seed of its own for every pair: no pair depends on how many came before it.
            rng = np.random.default_rng([spec.seed, part, index])
            chosen = rng.choice(len(sources), p=shares)
            pair = cut_pair(rng, spec, pixels[chosen], sources[chosen].scale)
            exposure = rng.uniform(*spec.exposure)
            for name, patch in zip(CLASSES, (pair.blurred, pair.sharp), strict=True):
                image = expose(rng, spec, patch, exposure)
                quality = int(rng.integers(*spec.jpeg_quality, endpoint=True))
                (folder / split / name / f"{index:04d}.jpg").write_bytes(jpeg(image, quality))


def _complete(folder: Path, spec: BlurSpec) -> bool:
    """Whether `folder` holds as many patches of every class as `spec` says."""
    return all(
        sum(1 for _ in (folder / split / name).glob("*.jpg")) == spec.pairs(split)
        for split in SPLITS
        for name in CLASSES
    )

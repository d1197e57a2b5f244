"""The embedded classification data set: blurred against sharp patches of photographs.

`blur()` writes it once into the cache and returns its folder. It needs no download: the
photographs are in the packages this project depends on. No photograph is in both splits. Every
patch is there twice, blurred and sharp, with noise and JPEG compression of the same strengths, so
neither content nor brightness gives the class away. The weakest blur is one pixel wide: at half
the image size it can hardly be seen, so the image size decides how good a classifier can be.
"""

from __future__ import annotations

from pathlib import Path

from progressive.data.embedded.cache import build_once, cache_root
from progressive.data.embedded.specs import BlurSpec

CLASSES = ("blurred", "sharp")
SPLITS = ("train", "val")


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

    from progressive.data.embedded.jpeg import jpeg
    from progressive.data.embedded.patches import cut_pair, expose

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

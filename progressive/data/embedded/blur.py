"""The embedded classification data set: blurred and sharp patches of photographs.

`blur()` writes it into the cache once and returns its folder. It needs no download: the photographs
are part of the packages that this project depends on. No photograph is in both splits. Each patch
is there twice, blurred and sharp. Both have noise and JPEG compression of the same strength, so
neither the content nor the brightness reveals the class. The weakest blur has a standard deviation
of one pixel. It can hardly be seen at half the image size, so the accuracy of a classifier depends
on the image size.
"""

from __future__ import annotations

from pathlib import Path

from progressive.data.embedded.cache import cached
from progressive.data.embedded.specs import BlurSpec

CLASSES = ("blurred", "sharp")
SPLITS = ("train", "val")

#: The data set that this project reports results on.
SPEC = BlurSpec()


def blur(root: Path | None = None, spec: BlurSpec = SPEC) -> Path:
    """Return the absolute path of the data set's folder, generating the data set if needed.

    Args:
        root: cache folder; by default the one of `cache_root()`.
        spec: what to generate.

    Raises:
        DatasetError: a photograph is missing.
        OSError: the cache folder cannot be written.
    """
    return cached("blur", spec, root, _write, _complete)


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
            # Each pair has its own seed, so it does not depend on how many came before it.
            rng = np.random.default_rng([spec.seed, part, index])
            chosen = rng.choice(len(sources), p=shares)
            pair = cut_pair(rng, spec, pixels[chosen], sources[chosen].scale)
            exposure = rng.uniform(*spec.exposure)
            for name, patch in zip(CLASSES, (pair.blurred, pair.sharp), strict=True):
                image = expose(rng, spec, patch, exposure)
                quality = int(rng.integers(*spec.jpeg_quality, endpoint=True))
                (folder / split / name / f"{index:04d}.jpg").write_bytes(jpeg(image, quality))


def _complete(folder: Path, spec: BlurSpec) -> bool:
    """Return whether `folder` contains as many patches of each class as `spec` says."""
    return all(
        sum(1 for _ in (folder / split / name).glob("*.jpg")) == spec.pairs(split)
        for split in SPLITS
        for name in CLASSES
    )

"""What the embedded data sets depend on: a changed value is a new folder in the cache."""

from __future__ import annotations

from dataclasses import dataclass

from progressive.data.embedded.cache import fingerprint
from progressive.data.embedded.photographs import Photograph


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

"""What the embedded data sets depend on. If a value changes, so does the folder in the cache."""

from __future__ import annotations

from dataclasses import dataclass

from progressive.data.embedded.photographs import Photograph


@dataclass(frozen=True)
class DigitsSpec:
    """Everything that the digits data set depends on.

    Ranges are inclusive; lengths are in pixels of the scene.

    Attributes:
        revision: increase it when the code changes what is drawn.
        seed: seed of all random numbers.
        train_scenes: number of training images.
        val_scenes: number of validation images.
        held_out: fraction of the samples of each class that only validation scenes may use.
        side: side of a scene.
        count: number of digits in a scene.
        height: height of a digit before it is rotated, log-uniform.
        rotation: largest rotation of a digit in degrees, in both directions.
        max_cover: largest fraction of the smaller of two boxes that the other one may cover.
        contrast: difference in grey levels (of 255) between ink and the background under it.
        fragments: number of scrambled digits without a label in a scene.
        strokes: number of lines in a scene, and number of blobs.
        jpeg_quality: quality of the JPEG files.
    """

    revision: int = 1
    seed: int = 2104
    train_scenes: int = 384
    val_scenes: int = 128
    held_out: float = 0.25
    side: int = 256
    count: tuple[int, int] = (3, 8)
    height: tuple[float, float] = (14.0, 110.0)
    rotation: float = 12.0
    max_cover: float = 0.08
    contrast: tuple[float, float] = (65.0, 150.0)
    fragments: tuple[int, int] = (0, 3)
    strokes: tuple[int, int] = (1, 5)
    jpeg_quality: int = 95

    def scenes(self, split: str) -> int:
        """Return the number of scenes of `split`, 'train' or 'val'."""
        return {"train": self.train_scenes, "val": self.val_scenes}[split]


@dataclass(frozen=True)
class BlurSpec:
    """Everything that the blur data set depends on.

    Ranges are inclusive; lengths are in pixels of the patch.

    Attributes:
        revision: increase it when the code changes what is drawn.
        seed: seed of all random numbers.
        train: photographs of the training images.
        val: photographs of the validation images.
        train_pairs: number of training images of each class.
        val_pairs: number of validation images of each class.
        side: side of a patch.
        texture: variance of the Laplacian (in grey levels of 255) above which a block is textured.
        textured: smallest fraction of textured blocks. Without texture, a blurred patch looks like
            a sharp one.
        sigma: standard deviation of the blur, log-uniform.
        exposure: factor on the brightness of both patches of a pair.
        noise: standard deviation of the noise in grey levels (of 255), drawn for each patch.
        jpeg_quality: quality of the JPEG files, drawn for each patch.
    """

    revision: int = 1
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
    textured: float = 0.5
    sigma: tuple[float, float] = (1.0, 3.5)
    exposure: tuple[float, float] = (0.6, 1.2)
    noise: tuple[float, float] = (0.0, 5.0)
    jpeg_quality: tuple[int, int] = (70, 95)

    def photographs(self, split: str) -> tuple[Photograph, ...]:
        """Return the photographs of `split`, 'train' or 'val'."""
        return {"train": self.train, "val": self.val}[split]

    def pairs(self, split: str) -> int:
        """Return the number of pairs of `split`, 'train' or 'val'."""
        return {"train": self.train_pairs, "val": self.val_pairs}[split]

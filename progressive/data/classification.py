"""Check a user's classification data set: `train/CLASS/*.jpg` and `val/CLASS/*.jpg`.

Given anything else, Ultralytics downloads it, or copies the images into splits of its own. So
nothing but the absolute path of a folder that is complete is handed over.
"""

from __future__ import annotations

from pathlib import Path

from progressive.data.detection import DatasetInfo, refuse_remote
from progressive.data.images import IMAGE_FORMATS, walk_images
from progressive.data.label_cache import refuse_hostile_cache
from progressive.data.messages import complaint, did_you_mean, shown
from progressive.errors import DatasetError

LAYOUT = "must hold train/CLASS/IMAGE and val/CLASS/IMAGE"
VAL_FOLDERS = ("val", "validation", "valid", "test")
"""Where Ultralytics looks for validation images, in this order."""
CONVERTED = ".ndjson.yaml"
"""Left by Ultralytics' NDJSON converter; with it, folders are class numbers instead of names."""


def check_image_folder(path: str | Path) -> DatasetInfo:
    """Check a folder of images sorted into classes. Nothing is written or downloaded.

    Raises:
        DatasetError: anything that would stop training, make it fetch something, or leave a class
            without training or validation images.
    """
    try:
        return _check(path)
    except DatasetError:
        raise
    except (OSError, ValueError) as error:
        # A folder without read permission, a name too long for the file system, a null byte.
        raise DatasetError(f"{path}: data: cannot be read: {error}") from error


def _check(path: str | Path) -> DatasetInfo:
    refuse_remote(str(path))
    folder = Path(path).expanduser().absolute()
    if not folder.exists():
        hint = did_you_mean(folder) or f"; a data set for task=classify {LAYOUT}"
        raise complaint(folder, "data", f"does not exist{hint}")
    if not folder.is_dir():
        raise complaint(folder, "data", "is a file; task=classify takes a folder of images")
    if (folder / CONVERTED).exists():
        raise complaint(folder, "data", f"holds {CONVERTED}; name the folders by class, remove it")
    train = folder / "train"
    val = next((folder / name for name in VAL_FOLDERS if (folder / name).exists()), folder / "val")
    for split in (train, val):
        if not split.is_dir():
            raise complaint(folder, split.name, f"no such folder; the data set {LAYOUT}")
        refuse_hostile_cache(split.with_suffix(".cache"))
    counts, val_counts = _count_images(train), _count_images(val)
    _check_classes(folder, counts, val.name, val_counts)
    return DatasetInfo(
        folder, folder, tuple(counts), sum(counts.values()), sum(val_counts.values())
    )


def _count_images(split: Path) -> dict[str, int]:
    """Return the number of images of each class in a split, in the order of class indices."""
    # Hidden folders too: to Ultralytics they are classes.
    names = sorted(entry.name for entry in split.iterdir() if entry.is_dir())
    return {name: sum(1 for _ in walk_images(split / name)) for name in names}


def _check_classes(folder: Path, train: dict[str, int], val_name: str, val: dict[str, int]) -> None:
    if len(train) < 2:
        raise complaint(folder, "train", f"has the classes {shown(list(train))}; needs at least 2")
    for name, images in train.items():
        if not images:
            formats = ", ".join(sorted(IMAGE_FORMATS))
            problem = f"class {shown(name)} holds no image; must hold some of {formats}"
            raise complaint(folder, "train", problem)
        if not val.get(name):
            problem = f"class {shown(name)} of train has no image here; every class needs some"
            raise complaint(folder, val_name, problem)
    for name in val:
        if name not in train:
            raise complaint(folder, val_name, f"class {shown(name)} is not in train")

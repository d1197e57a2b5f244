"""Check a user's classification data set: `train/CLASS/*.jpg` and `val/CLASS/*.jpg`.

If Ultralytics is given anything else, it downloads a data set or copies the images into splits of
its own. So it only ever gets the absolute path of a complete folder.
"""

from __future__ import annotations

from pathlib import Path

from progressive.data.detection import DatasetInfo, refuse_remote
from progressive.data.images import IMAGE_FORMATS, walk_images
from progressive.data.messages import complaint, did_you_mean, refuse_unreadable, shown
from progressive.safe_loading.arrays import refuse_hostile_arrays, refuse_hostile_cache

#: What the folder must contain, for messages.
LAYOUT = "must hold train/CLASS/IMAGE and val/CLASS/IMAGE"

#: Names of the validation folder that Ultralytics accepts, in the order in which it tries them.
VAL_FOLDERS = ("val", "validation", "valid", "test")

#: File that Ultralytics' NDJSON converter leaves. Its folders are named by class number.
CONVERTED = ".ndjson.yaml"


def check_image_folder(path: str | Path) -> DatasetInfo:
    """Check a folder of images sorted into classes. Nothing is written or downloaded.

    Raises:
        DatasetError: something would stop the training or make it download something, or a class
            has no training or no validation images.
    """
    with refuse_unreadable(path):
        refuse_remote(str(path))
        folder = _existing_folder(path)
        train = folder / "train"
        found = (folder / name for name in VAL_FOLDERS if (folder / name).exists())
        val = next(found, folder / "val")
        for split in (train, val):
            if not split.is_dir():
                raise complaint(folder, split.name, f"no such folder; the data set {LAYOUT}")
            refuse_hostile_cache(split.with_suffix(".cache"))
            for place in (path for path in split.iterdir() if path.is_dir()):
                refuse_hostile_arrays(place)
        train_counts, val_counts = _count_images(train), _count_images(val)
        _check_classes(folder, train_counts, val.name, val_counts)
        images = sum(train_counts.values()), sum(val_counts.values())
        return DatasetInfo(folder, folder, tuple(train_counts), *images)


def _existing_folder(path: str | Path) -> Path:
    """Return the absolute path of the folder, or raise DatasetError for what is there instead."""
    folder = Path(path).expanduser().absolute()
    if not folder.exists():
        hint = did_you_mean(folder) or f"; a data set for task=classify {LAYOUT}"
        raise complaint(folder, "data", f"does not exist{hint}")
    if not folder.is_dir():
        raise complaint(folder, "data", "is a file; task=classify takes a folder of images")
    if (folder / CONVERTED).exists():
        raise complaint(folder, "data", f"holds {CONVERTED}; name the folders by class, remove it")
    return folder


def _count_images(split: Path) -> dict[str, int]:
    """Return the number of images of each class in a split, in the order of class indices."""
    # Hidden folders count too: Ultralytics treats them as classes.
    names = sorted(entry.name for entry in split.iterdir() if entry.is_dir())
    return {name: sum(1 for _ in walk_images(split / name)) for name in names}


def _check_classes(folder: Path, train: dict[str, int], val_name: str, val: dict[str, int]) -> None:
    """Raise DatasetError unless both splits have images of the same two or more classes."""
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

"""Data sets of Ultralytics that decode at the size of the stage, against their plain selves."""

from __future__ import annotations

import copy
import pickle
import random
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from ultralytics import YOLO
from ultralytics.cfg import get_cfg
from ultralytics.data.dataset import PolygonSemanticDataset, YOLODataset
from ultralytics.models.rtdetr.val import RTDETRDataset
from ultralytics.utils.patches import imread

from progressive.errors import InputError
from progressive.hosts.ultralytics.callback import ProgressiveCallback
from progressive.hosts.ultralytics.images import dataset as decoding
from progressive.hosts.ultralytics.images import encoded
from progressive.hosts.ultralytics.images.dataset import (
    StageSizeDecoding,
    decode_at_stage_size,
    forget_images,
    keep_decoded,
)
from progressive.hosts.ultralytics.loader import StagedLoader
from progressive.schedule import ProgressiveSchedule

POLYGON = "1 0.2 0.2 0.6 0.2 0.6 0.7 0.2 0.7\n"
BOXES = "0 0.25 0.5 0.3 0.4\n1 0.7 0.6 0.2 0.5\n"
KEYPOINTS = "0 0.5 0.5 0.4 0.4 0.4 0.4 2 0.6 0.6 1\n"


def write(folder, labels=BOXES):
    """Six photographs in a folder: large and small JPEGs, an odd one, a grey one, a PNG, a TIFF."""
    source = cv2.imread(str(Path(find_spec("ultralytics").origin).parent / "assets/zidane.jpg"))
    grey = cv2.cvtColor(source, cv2.COLOR_BGR2GRAY)
    images = {
        "a.jpg": source,
        "b.jpg": cv2.resize(source, (150, 100)),
        "c.jpg": cv2.resize(source, (427, 641)),
        "d.jpg": grey,
        "e.png": cv2.resize(source, (320, 240)),
        "f.tif": cv2.resize(source, (330, 250)),
    }
    for kind in ("images", "labels"):
        (folder / kind / "train").mkdir(parents=True)
    for name, image in images.items():
        cv2.imwrite(str(folder / "images" / "train" / name), image)
        (folder / "labels" / "train" / name).with_suffix(".txt").write_text(labels)
    yaml = folder / "data.yaml"
    yaml.write_text(f"path: {folder}\ntrain: images/train\nval: images/train\nnames: [a, b]\n")
    return folder


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "set")


def build(folder, kind=YOLODataset, task="detect", size=160, **options):
    data = {"names": {0: "a", 1: "b"}, "nc": 2, "channels": 3, "kpt_shape": [2, 3]}
    options = {"augment": True, "batch_size": 2, "hyp": get_cfg(), **options}
    return kind(
        img_path=str(folder / "images" / "train"), imgsz=size, data=data, task=task, **options
    )


def pair(*arguments, **options):
    """A data set as it is and another that decodes at stage size."""
    ours = build(*arguments, **options)
    decode_at_stage_size(ours)
    return build(*arguments, **options), ours


def same(plain, ours):
    """Compare two samples but for their pixels."""
    assert plain.keys() == ours.keys()
    for key, value in plain.items():
        if key == "instances":
            assert np.array_equal(value.bboxes, ours[key].bboxes)
            assert np.array_equal(value.segments, ours[key].segments)
            assert np.array_equal(value.keypoints, ours[key].keypoints)
        elif key == "img":
            assert value.shape == ours[key].shape
            assert value.dtype == ours[key].dtype
        else:
            assert np.array_equal(value, ours[key]), key


@pytest.mark.parametrize(
    ("task", "labels"),
    [("detect", BOXES), ("segment", POLYGON), ("pose", KEYPOINTS), ("obb", POLYGON)],
)
def test_samples_differ_in_nothing_but_detail(tmp_path, task, labels):
    plain, ours = pair(write(tmp_path / "set", labels), task=task)
    reduced = {"a.jpg", "c.jpg", "d.jpg"}
    for index, file in enumerate(plain.im_files):
        before, after = plain.get_image_and_label(index), ours.get_image_and_label(index)
        same(before, after)
        distance = np.abs(before["img"].astype(int) - after["img"]).mean()
        assert (distance > 0) == (Path(file).name in reduced)
        assert distance < 8


def test_pixels_are_those_of_averaged_areas(folder):
    _, ours = pair(folder)
    for index in range(4):
        image, original, (height, width) = ours.load_image(index)
        whole = imread(ours.im_files[index])
        assert original == whole.shape[:2]
        area = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
        assert np.abs(area.astype(int) - image).mean() < 4


def test_size_is_read_when_an_image_is_loaded(folder):
    # A stage changes `imgsz` of the live data set.
    _, ours = pair(folder)
    for size in (64, 160, 640):
        ours.imgsz = size
        ours.ims = [None] * ours.ni
        assert max(ours.load_image(0)[0].shape) == size


def test_images_are_kept_for_mosaic_as_before(folder):
    plain, ours = pair(folder)
    for index in (0, 1, 2, 3, 4, 5, 0, 3):
        plain.load_image(index)
        ours.load_image(index)
        assert ours.buffer == plain.buffer
        assert ours.im_hw0 == plain.im_hw0
        assert ours.im_hw == plain.im_hw
        assert [im is None for im in ours.ims] == [im is None for im in plain.ims]


def test_nothing_is_kept_without_augmentation(folder):
    _, ours = pair(folder, augment=False)
    ours.load_image(0)
    assert ours.buffer == []
    assert ours.ims == [None] * 6


def test_augmented_samples_have_the_same_labels(folder):
    plain, ours = pair(folder)
    samples = []
    for dataset in (plain, ours):
        random.seed(0)
        np.random.seed(0)
        for index in range(6):  # fill the buffer of mosaic
            dataset.load_image(index)
        samples.append([dataset[index] for index in range(6)])
    for before, after in zip(*samples, strict=True):
        assert after["img"].shape == (3, 160, 160)
        assert np.array_equal(before["bboxes"], after["bboxes"])
        assert np.array_equal(before["cls"], after["cls"])


@pytest.mark.parametrize("size", [64, 160, 400])
def test_rtdetr_stretches(folder, size):
    plain, ours = pair(folder, RTDETRDataset, size=size)
    for index in range(6):
        before, after = plain.load_image(index), ours.load_image(index)
        assert before[0].shape == after[0].shape == (size, size, 3)
        assert before[1:] == after[1:]
    assert np.array_equal(plain.load_image(1)[0], ours.load_image(1)[0])


def test_semantic_segmentation_fills_the_shorter_side(tmp_path):
    folder = write(tmp_path / "set", POLYGON)
    plain, ours = pair(folder, PolygonSemanticDataset, task="semantic")
    for index in range(6):
        before, after = plain.get_image_and_label(index), ours.get_image_and_label(index)
        same(before, after)
        assert min(after["resized_shape"]) == 160


@pytest.mark.parametrize("channels", [1, 4])
def test_other_numbers_of_channels(folder, channels):
    for dataset in (datasets := pair(folder)):
        dataset.channels = channels
        dataset.cv2_flag = {1: cv2.IMREAD_GRAYSCALE}.get(channels, cv2.IMREAD_UNCHANGED)
    plain, ours = datasets
    for index in range(6):
        before, after = plain.load_image(index), ours.load_image(index)
        assert before[0].shape == after[0].shape
        assert before[1:] == after[1:]


def test_images_cached_on_disk_are_used(folder):
    ours = build(folder, cache="disk")
    decode_at_stage_size(ours)
    np.save(ours.npy_files[0], np.full((90, 160, 3), 7, np.uint8))
    assert (ours.load_image(0)[0] == 7).all()


def test_missing_and_broken_files_fail_as_before(folder):
    plain, ours = pair(folder)
    Path(ours.im_files[0]).unlink()
    Path(ours.im_files[1]).write_bytes(b"")
    Path(ours.im_files[2]).write_bytes(b"\xff\xd8 no image")
    for index in range(3):
        messages = []
        for dataset in (plain, ours):
            with pytest.raises(FileNotFoundError, match="Image Not Found") as caught:
                dataset.load_image(index)
            messages.append(str(caught.value))
        assert messages[0] == messages[1]


def test_files_in_memory_are_not_read_again(folder):
    plain = build(folder)
    ours = build(folder)
    decode_at_stage_size(ours, encoded=True)
    content = [Path(file).read_bytes() for file in ours.im_files]
    assert [ours.encoded[i].tobytes() for i in range(6)] == content
    expected = [plain.load_image(i)[1:] for i in range(6)]
    for file in ours.im_files[:5]:  # a TIFF is read from disk
        Path(file).unlink()
    assert [ours.load_image(i)[1:] for i in range(6)] == expected


def test_too_large_for_memory(folder, monkeypatch):
    ours = build(folder)
    size = sum(Path(file).stat().st_size for file in ours.im_files)
    monkeypatch.setattr(encoded, "available_memory", lambda: 2 * size)
    decode_at_stage_size(ours, encoded=True)
    assert len(ours.encoded) == 6
    ours = build(folder)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(InputError, match=r"^cache=encoded: the 6 image files need .* use cache="):
        decode_at_stage_size(ours, encoded=True)


def test_it_is_installed_once_and_only_where_it_fits(folder):
    ours = build(folder)
    decode_at_stage_size(ours)
    kind = type(ours)
    decode_at_stage_size(ours, encoded=True)
    content = ours.encoded
    decode_at_stage_size(ours, encoded=True)
    assert type(ours) is kind
    assert ours.encoded is content
    assert isinstance(ours, YOLODataset)
    assert decoding._with_stage_size_decoding(YOLODataset) is kind
    other = SimpleNamespace()
    decode_at_stage_size(other)
    assert vars(other) == {}
    with pytest.raises(InputError, match="cache=encoded: impossible with a SimpleNamespace"):
        decode_at_stage_size(other, encoded=True)


def test_it_can_be_undone(folder):
    plain, ours = pair(folder)
    decode_at_stage_size(ours, encoded=True)()
    assert type(ours) is YOLODataset
    assert not hasattr(ours, "encoded")
    assert np.array_equal(ours.load_image(0)[0], plain.load_image(0)[0])


def kept(dataset):
    return sum(image is not None for image in dataset.ims)


def test_images_of_a_stage_are_kept_where_there_is_room(folder, monkeypatch):
    plain, ours = build(folder), build(folder)
    few = ours.max_buffer_length = plain.max_buffer_length = 3
    decode_as_before = decode_at_stage_size(ours)
    for room, in_process, expected in ((True, True, 6), (True, False, 2), (False, True, 2)):
        needed = 6 * ours.imgsz**2 * 3
        free = int(needed / decoding.KEPT_SHARE) - (0 if room else 1)
        monkeypatch.setattr(decoding, "available_memory", lambda free=free: free)
        forget_images(ours)
        keep_decoded(ours, in_process=in_process)
        for index in range(6):
            ours.load_image(index)
        assert kept(ours) == expected
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")  # each process would keep as many
    monkeypatch.setattr(decoding, "available_memory", lambda: int(needed / decoding.KEPT_SHARE))
    keep_decoded(ours, in_process=True)
    assert ours.max_buffer_length == few
    keep_decoded(ours, in_process=False)
    monkeypatch.undo()
    keep_decoded(ours, in_process=True)
    assert ours.max_buffer_length > few
    decode_as_before()
    assert ours.max_buffer_length == few
    keep_decoded(plain, in_process=True)
    assert plain.max_buffer_length == few


def test_what_works_in_place_does_not_reach_a_kept_image(folder):
    ours = build(folder)
    decode_at_stage_size(ours)
    keep_decoded(ours, in_process=True)
    for index in range(6):
        first = ours.load_image(index)[0]
        expected = first.copy()
        first[:] = 0
        for _ in range(2):
            again = ours.load_image(index)[0]
            assert np.array_equal(again, expected)
            again[:] = 0


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))])
def test_copies_decode_alike(folder, copied):
    # Workers that are not forked get the data set pickled.
    ours = build(folder)
    decode_at_stage_size(ours, encoded=True)
    ours.transforms = None  # Ultralytics' own hold lambdas
    other = copied(ours)
    assert isinstance(other, StageSizeDecoding)
    assert np.array_equal(other.load_image(0)[0], ours.load_image(0)[0])


@pytest.mark.slow
def test_training_with_workers(folder, fast, plain, make_recorder):
    schedule = ProgressiveSchedule.linear(epochs=2, stages=2, image_size=(64, 160))

    def set_stage(trainer):
        stage = schedule.at(trainer.epoch)
        loader = StagedLoader(trainer, schedule)
        loader.set_stage(stage, mosaic_closed=True, batch_size=3)

    def train(name, callback=None):
        class Recorder(make_recorder(workers=2)):
            boxes: list = []  # noqa: RUF012 - one class per training

            def preprocess_batch(self, batch):
                self.boxes.append(batch["bboxes"].clone())
                return super().preprocess_batch(batch)

        model = YOLO("yolov8n.yaml")
        if callback is None:
            model.add_callback("on_train_epoch_start", set_stage)
        else:
            callback.attach(model)
        model.train(
            trainer=Recorder,
            data=str(folder / "data.yaml"),
            epochs=2,
            imgsz=160,
            project=str(folder),
            name=name,
            val=False,
            **{**fast, **plain, "batch": 3},
        )
        return Recorder

    stock = train("stock")
    # To resume exactly, the order of later epochs is drawn otherwise than by Ultralytics.
    plainly = {"checkpoints": False}
    ours = train("ours", ProgressiveCallback(schedule, **plainly))
    cached = train("cached", ProgressiveCallback(schedule, cache_encoded=True, **plainly))
    sizes = [(batch["epoch"], batch["shape"][2:]) for batch in ours.batches]
    assert sizes == [(0, (64, 64))] * 2 + [(1, (160, 160))] * 2
    distances = [
        float((before["images"] - after["images"]).abs().mean())
        for before, after in zip(stock.batches, ours.batches, strict=True)
    ]
    assert 0 < max(distances) < 8 / 255  # the same images, of which some were reduced
    for after, again in zip(ours.batches, cached.batches, strict=True):
        assert (after["images"] == again["images"]).all()
    for before, after in zip(stock.boxes, ours.boxes, strict=True):
        assert (before == after).all()

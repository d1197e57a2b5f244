from __future__ import annotations

import pickle

import albumentations as A
import numpy as np
import pytest

from progressive.augment import RandAugment
from progressive.augment.operations import left_out


def with_labels(*transforms, seed=0):
    return A.Compose(
        list(transforms),
        bbox_params=A.BboxParams(format="pascal_voc", label_fields=["ids"]),
        keypoint_params=A.KeypointParams(format="xya", remove_invisible=False),
        seed=seed,
    )


def apply(transform, image, boxes=(), seed=0, keypoints=()):
    return with_labels(transform, seed=seed)(
        image=image,
        bboxes=np.array(boxes, dtype=np.float32).reshape(-1, 4),
        ids=np.arange(len(boxes)),
        keypoints=np.array(keypoints, dtype=np.float32).reshape(-1, 3),
    )


@pytest.mark.parametrize("num_ops", [1, 2, 5])
def test_so_many_operations_are_drawn_and_all_sixteen_occur(photo, num_ops):
    transform = RandAugment(num_ops=num_ops, magnitude=9)
    transform.set_random_seed(0)
    pixel_operations = set()
    for _ in range(100):
        transform(image=photo)
        drawn = transform.get_applied_params()
        pixel_operations |= {name for name, _ in drawn["pixels"]}
        assert len(drawn["pixels"]) + len(drawn["holes"]) <= num_ops
    assert len(pixel_operations) == 10  # the other six move pixels or hide them


def test_only_chosen_operations_are_drawn(photo):
    transform = RandAugment(num_ops=1, operations=["Invert"])
    assert np.array_equal(transform(image=photo)["image"], 255 - photo)


def test_two_magnitudes_give_different_pixels_by_the_same_operations(photo):
    weak, strong = (with_labels(RandAugment(magnitude=m), seed=3) for m in (5, 15))
    pairs = [(apply_image(weak, photo), apply_image(strong, photo)) for _ in range(20)]
    assert (
        sum(not np.array_equal(a, b) for a, b in pairs) >= 15
    )  # three of sixteen have no strength


def apply_image(compose, image):
    return compose(image=image, bboxes=np.zeros((0, 4)), ids=[], keypoints=np.zeros((0, 3)))[
        "image"
    ]


def test_a_seed_reproduces_and_another_does_not(photo):
    def run(seed):
        compose = with_labels(RandAugment(num_ops=2, magnitude=9), seed=seed)
        return b"".join(apply_image(compose, photo).tobytes() for _ in range(8))

    assert run(7) == run(7)
    assert run(7) != run(8)


def test_the_probability_counts(photo):
    assert np.array_equal(RandAugment(p=0.0)(image=photo)["image"], photo)
    transform = RandAugment(num_ops=1, operations=["Invert"], p=0.5)
    transform.set_random_seed(0)
    inverted = sum(not np.array_equal(transform(image=photo)["image"], photo) for _ in range(200))
    assert 70 < inverted < 130


def test_dictionary_round_trip(photo):
    first = RandAugment(
        num_ops=3, magnitude=7, operations=["Rotate", "Color"], fill=9, fill_mask=255, p=0.9
    )
    second = A.from_dict(A.to_dict(first))
    assert repr(second) == repr(first)
    for transform in (first, second):
        transform.set_random_seed(1)
    assert np.array_equal(first(image=photo)["image"], second(image=photo)["image"])


@pytest.mark.parametrize("data_format", ["json", "yaml"])
def test_round_trip_through_a_file(tmp_path, data_format):
    path = tmp_path / "transform"
    compose = A.Compose([RandAugment(magnitude=11, operations=["Cutout"])])
    A.save(compose, path, data_format=data_format)
    (restored,) = A.load(path, data_format=data_format).transforms
    assert restored.magnitude == 11
    assert restored.operations == ("Cutout",)
    assert restored.p == 1.0


def test_it_pickles_and_goes_on_from_the_same_random_state(photo):
    transform = RandAugment(magnitude=9)
    copy = pickle.loads(pickle.dumps(transform))
    assert np.array_equal(transform(image=photo)["image"], copy(image=photo)["image"])


def test_repr_tells_the_settings():
    text = repr(RandAugment(num_ops=3, magnitude=12.5, operations=["Rotate"]))
    assert text.startswith("RandAugment(")
    for part in ("num_ops=3", "magnitude=12.5", "Rotate", "p=1.0"):
        assert part in text


@pytest.mark.parametrize(
    "shape",
    [
        *((64, 64), (64, 64, 1), (33, 90, 3), (90, 17, 1), (1, 1, 3), (2, 3)),
        *((64, 64, 2), (33, 90, 4), (16, 16, 5), (8, 8, 13)),
    ],
)
def test_every_shape_comes_back_as_it_was_and_the_input_is_untouched(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    before = image.copy()
    transform = RandAugment(num_ops=2, magnitude=14)
    for seed in range(40):
        result = apply(transform, image, seed=seed)
        assert result["image"].shape == shape
        assert result["image"].dtype == np.uint8
        assert result["bboxes"].shape[0] == 0
    assert np.array_equal(image, before)


@pytest.mark.parametrize("channels", [1, 2, 4, 9])
def test_every_channel_is_treated_as_a_grey_image(channels, photo):
    image = np.random.default_rng(1).integers(0, 256, (40, 50, channels), dtype=np.uint8)
    for seed in range(30):
        together = with_labels(RandAugment(num_ops=3, magnitude=9), seed=seed)
        whole = apply_image(together, image)
        for channel in range(channels):
            alone = with_labels(RandAugment(num_ops=3, magnitude=9), seed=seed)
            expected = apply_image(alone, image[..., channel]).astype(int)
            assert abs(expected - whole[..., channel]).max() <= 8  # OpenCV rounds where it warps


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_an_operation_without_meaning_is_left_out_and_said_so(channels):
    image = np.zeros((8, 8, channels), np.uint8)
    assert left_out(channels) == ("Color",)
    assert left_out(3) == ()
    transform = RandAugment(num_ops=1, operations=["Color", "Invert"])
    for _ in range(10):
        assert (transform(image=image)["image"] == 255).all()
    with pytest.raises(
        ValueError, match=rf"'Color'\]: need an image of 3 channels, got {channels}"
    ):
        RandAugment(operations=["Color"])(image=image)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"magnitude": 31}, ValueError, "magnitude must be from 0 to 30, got 31"),
        ({"magnitude": -1}, ValueError, "magnitude must be from 0 to 30, got -1"),
        ({"magnitude": float("nan")}, ValueError, "magnitude must be from 0 to 30, got nan"),
        ({"magnitude": "9"}, TypeError, "magnitude must be a number from 0 to 30, got '9'"),
        ({"num_ops": 0}, ValueError, "num_ops must be at least 1, got 0"),
        ({"num_ops": 1.5}, TypeError, "num_ops must be a whole number, got 1.5"),
        ({"p": 1.2}, ValueError, "p must be from 0 to 1, got 1.2"),
        ({"fill": 300}, ValueError, "fill must be from 0 to 255, got 300"),
        ({"operations": ["Rotate", "Blur"]}, ValueError, r"TranslateY.*got unknown \['Blur'\]"),
        ({"operations": "Rotate"}, ValueError, r"got unknown \['Rotate'\]"),
        ({"operations": []}, ValueError, "got none"),
    ],
)
def test_wrong_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        RandAugment(**arguments)


def test_wrong_images_are_refused():
    with pytest.raises(TypeError, match="uint8 image, got float32"):
        RandAugment()(image=np.zeros((8, 8, 3), np.float32))
    for shape in ((8, 8, 0), (2, 8, 8, 3)):
        with pytest.raises(ValueError, match=r"needs an image \(H, W\) or \(H, W, C\)"):
            RandAugment().apply(np.zeros(shape, np.uint8), pixels=[], matrix=None, holes=[])


def test_moved_borders_are_grey_in_the_image_and_zero_in_the_mask(photo):
    transform = RandAugment(num_ops=1, magnitude=15, operations=["TranslateX"])
    result = transform(image=photo, mask=np.full(photo.shape[:2], 3, np.uint8))
    new = result["mask"] == 0
    assert new.mean() == 0.5
    assert (result["image"][new] == 114).all()


def test_the_grey_of_a_border_is_not_inverted(photo):
    transform = RandAugment(num_ops=6, magnitude=9, operations=["TranslateX", "Invert"])
    transform.set_random_seed(2)
    result = transform(image=photo, mask=np.ones(photo.shape[:2], np.uint8))
    assert (result["mask"] == 0).any()
    assert (result["image"][result["mask"] == 0] == 114).all()


def test_annotations_stay_if_nothing_moves(photo):
    transform = RandAugment(num_ops=3, magnitude=20, operations=["Invert", "Solarize", "Color"])
    result = apply(transform, photo, [[3, 5, 50, 61]], keypoints=[[7, 9, 0.5]])
    assert result["bboxes"][0] == pytest.approx([3, 5, 50, 61], abs=1e-4)
    assert result["keypoints"][0] == pytest.approx([7, 9, 0.5], abs=1e-5)


def test_the_angle_of_a_keypoint_turns_with_the_image(photo):
    transform = RandAugment(num_ops=1, magnitude=10, operations=["Rotate"])
    turned = [
        apply(transform, photo, seed=s, keypoints=[[80, 60, 90]])["keypoints"] for s in range(8)
    ]
    assert {round(float(keypoints[0, 2])) for keypoints in turned} == {60, 120}


def test_keypoints_outside_stay(photo):
    transform = RandAugment(num_ops=1, magnitude=15, operations=["TranslateX"])
    result = apply(transform, photo, keypoints=[[10, 20, 0], [150, 20, 0]])
    assert result["keypoints"][:, 0].tolist() in ([90, 230], [-70, 70])


def test_labels_of_dropped_boxes_go_with_them(photo):
    transform = RandAugment(num_ops=1, magnitude=15, operations=["TranslateX"])
    result = apply(transform, photo, [[0, 0, 10, 10], [150, 0, 160, 10]])
    assert len(result["bboxes"]) == 1
    assert len(result["ids"]) == 1
    survivor = 0 if result["bboxes"][0, 0] == pytest.approx(80) else 1
    assert result["ids"][0] == survivor

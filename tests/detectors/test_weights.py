from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from progressive.detectors import WeightsError, build_detector
from progressive.detectors.published import published_weights
from progressive.detectors.weights import load_weights, read_weights

NAME = "tf_efficientnetv2_b0"


@pytest.fixture(scope="module")
def classifier() -> torch.nn.Module:
    torch.manual_seed(1)
    model = timm.create_model(NAME)
    for module in model.modules():  # as after training, so that a forgotten buffer matters
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    return model.eval()


@pytest.fixture
def features() -> torch.nn.Module:
    return timm.create_model(NAME, features_only=True, out_indices=(2, 3, 4))


def saved(state: dict, path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".safetensors"])
def test_classifier_file_gives_the_detector_its_features(classifier, tmp_path, suffix):
    path = saved(classifier.state_dict(), tmp_path / f"b0{suffix}")
    detector = build_detector("yolov8", "n", "efficientnetv2_b0", weights=path, classes=2)
    images = torch.rand(2, 3, 64, 64)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.no_grad():
        maps = detector.model.model[0].eval()(images)
        expected = classifier.forward_intermediates(
            (images - mean) / std, indices=[2, 3, 4], intermediates_only=True
        )
    assert [m.shape[1] for m in maps] == [48, 112, 192]
    for got, want in zip(maps, expected, strict=True):
        torch.testing.assert_close(got, want)


def test_features_only_file_fits_too(features, tmp_path):
    path = saved(features.state_dict(), tmp_path / "features.safetensors")
    other = timm.create_model(NAME, features_only=True, out_indices=(2, 3, 4))
    load_weights(other, read_weights(path), "file")
    for key, value in features.state_dict().items():
        torch.testing.assert_close(other.state_dict()[key], value)


def test_a_file_may_leave_out_the_batch_counters(features):
    state = {k: v for k, v in features.state_dict().items() if "num_batches" not in k}
    load_weights(features, state, "file")


def test_every_key_that_does_not_fit_is_listed(features):
    before = features.conv_stem.weight.clone()
    state = features.state_dict()
    state["conv_stem.weight"] = torch.zeros(8, 3, 3, 3)
    state["blocks.9.weight"] = torch.zeros(1)
    for key in [k for k in state if k.startswith("blocks.5.0.bn")]:
        del state[key]
    with pytest.raises(WeightsError) as error:
        load_weights(features, state, "my.pth")
    # Three BatchNorm layers; their counters of batches are not needed.
    kinds = ("weight", "bias", "running_mean", "running_var")
    missing = ", ".join(f"blocks.5.0.bn{i}.{kind}" for i in (1, 2, 3) for kind in kinds)
    assert str(error.value) == (
        f"my.pth: does not fit the backbone: 12 missing ({missing}); "
        "1 unexpected (blocks.9.weight); 1 of another shape (conv_stem.weight)"
    )
    assert torch.equal(features.conv_stem.weight, before)


def test_weights_of_another_model_are_refused(classifier, tmp_path):
    path = saved(classifier.state_dict(), tmp_path / "b0.pth")
    with pytest.raises(WeightsError, match=r"b0\.pth: does not fit the backbone: \d+ missing"):
        build_detector("yolov8", "n", "efficientnetv2_b3", weights=path)


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (None, "none.pth", "no such file"),
        (None, "weights.h5", "must end in"),
        (b"not a zip", "broken.pt", "not a readable weight file"),
        (b"not a header", "broken.safetensors", "not a readable weight file"),
        ({"epoch": 3, "model": {}}, "checkpoint.pt", "holds no state dict"),
        (torch.zeros(3), "tensor.pt", "holds no state dict"),
        (Evil(), "evil.pth", r"not a readable weight file \(UnpicklingError\)"),
    ],
)
def test_files_that_are_no_weights(tmp_path, capsys, content, name, message):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(WeightsError, match=message):
        read_weights(path)
    assert "executed" not in capsys.readouterr().out


def test_no_network_is_one_clear_error(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match=r"tf_efficientnetv2_b0 \(.*backbone\.weights=FILE"):
        build_detector(pretrained=True)


def test_published_weights_are_the_classifiers(monkeypatch, classifier):
    asked = []

    def create(name: str, **options: bool) -> torch.nn.Module:
        asked.append((name, options))
        return classifier

    monkeypatch.setattr(timm, "create_model", create)
    assert published_weights(NAME).keys() == classifier.state_dict().keys()
    assert asked == [(NAME, {"pretrained": True})]


def test_weights_error_is_a_value_error():
    assert issubclass(WeightsError, ValueError)

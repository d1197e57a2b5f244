from __future__ import annotations

import weakref

import pytest
import torch
from torch import nn
from torch.utils.data import ConcatDataset, IterableDataset, Subset

from progressive.errors import InputError
from progressive.hosts.pytorch import apply_schedule
from progressive.schedule import ProgressiveSchedule

pytest.importorskip("transformers")
from transformers import (
    DetrConfig,
    DetrForObjectDetection,
    EarlyStoppingCallback,
    ResNetConfig,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    YolosConfig,
    YolosForObjectDetection,
    YolosImageProcessor,
)

from progressive.hosts.transformers import (
    DetectionDataset,
    ProgressiveCallback,
    collate_detection,
)

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")

#: Sizes by epoch: 32, 32, 64, 64.
SCHEDULE = ProgressiveSchedule.linear(
    epochs=4, stages=2, image_size=(32, 64), randaugment=(0, 9), mixup=(0, 1), dropout=(0, 0.2)
)
STEPS = 3  # of an epoch: 13 images in batches of 5


@pytest.fixture
def make_trainer(samples, processor, tmp_path):
    """Return a factory of trainers of a tiny YOLOS, and of what its forward passes are given."""

    def make(**arguments):
        torch.manual_seed(0)
        config = YolosConfig(
            image_size=(64, 64),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            num_detection_tokens=5,
            use_mid_position_embeddings=False,
            num_labels=1,
        )
        model = YolosForObjectDetection(config)
        seen = []

        def note(module, args, kwargs):
            rates = {m.p for m in module.modules() if isinstance(m, nn.Dropout)}
            seen.append((module.training, kwargs["pixel_values"].clone(), kwargs["labels"], rates))

        model.register_forward_pre_hook(note, with_kwargs=True)
        settings = {
            "output_dir": str(tmp_path),
            "num_train_epochs": SCHEDULE.epochs,
            "per_device_train_batch_size": 5,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            "prediction_loss_only": True,
            "dataloader_pin_memory": False,
            "use_cpu": True,
        }
        trainer = Trainer(
            model,
            TrainingArguments(**settings | arguments),
            data_collator=collate_detection,
            train_dataset=DetectionDataset(samples, processor),
            eval_dataset=DetectionDataset(samples, processor, train=False),
        )
        return trainer, seen

    return make


def sizes(seen, training=True):
    return [pixels.shape[-1] for flag, pixels, _, _ in seen if flag == training]


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_all_four_knobs_act(make_trainer, samples, workers):
    trainer, seen = make_trainer(
        dataloader_num_workers=workers,
        dataloader_persistent_workers=workers > 0,
        eval_strategy="epoch",
    )
    ProgressiveCallback(SCHEDULE).attach(trainer)
    trainer.train()

    assert sizes(seen) == [32] * 2 * STEPS + [64] * 2 * STEPS
    assert set(sizes(seen, training=False)) == {64}
    levels = {int(image[0, 0, 0]) for image, _, _ in samples}
    training = [entry for entry in seen if entry[0]]
    for first, expected_rate in ((0, 0.0), (2 * STEPS, 0.2)):
        part = training[first : first + 2 * STEPS]
        found = {v for _, x, _, _ in part for v in (x * 255).round().unique().int().tolist()}
        objects = sum(len(label["boxes"]) for _, _, labels, _ in part for label in labels)
        assert all(rates == {expected_rate} for _, _, _, rates in part)
        if first == 0:
            assert found == levels
            assert objects == 2 * len(samples)
        else:
            assert len(found) > 2 * len(levels)
            assert objects > 1.5 * 2 * len(samples)


def test_every_stage_is_in_the_log(make_trainer):
    mosaic = ProgressiveSchedule.fixed(epochs=4, image_size=64, mosaic=0.5)
    trainer, _ = make_trainer()
    ProgressiveCallback(mosaic).attach(trainer)
    with pytest.raises(InputError, match="mosaic: DetectionDataset has none"):
        trainer.train()

    trainer, _ = make_trainer()
    ProgressiveCallback(SCHEDULE).attach(trainer)
    trainer.train()
    first, second = (entry for entry in trainer.state.log_history if "stage" in entry)
    assert first == {
        "stage": 0,
        "image_size": 32,
        "randaugment_magnitude": 0.0,
        "mixup": 0.0,
        "dropout_rate": 0.0,
        "drop_path_rate": 0.0,
        "epoch": 0,
        "step": 0,
    }
    assert (second["stage"], second["image_size"], second["step"]) == (1, 64, 2 * STEPS)
    ends = [entry for entry in trainer.state.log_history if "progressive/stage" in entry]
    assert [entry["progressive/stage"] for entry in ends] == [0, 0, 1, 1]
    assert all(entry["progressive/images_per_second"] > 0 for entry in ends)
    assert all(0 <= entry["progressive/share_waiting_for_data"] <= 1 for entry in ends)
    assert ends[-1]["progressive/minutes_left"] == 0


@pytest.mark.slow
def test_resumed_run_goes_on_mid_stage_and_mid_epoch(make_trainer):
    trainer, seen = make_trainer(save_strategy="steps", save_steps=4)
    ProgressiveCallback(SCHEDULE).attach(trainer)
    trainer.train()
    checkpoint = f"{trainer.args.output_dir}/checkpoint-4"  # one step into epoch 1, stage 0

    resumed, seen_again = make_trainer()
    ProgressiveCallback(SCHEDULE).attach(resumed)
    resumed.train(resume_from_checkpoint=checkpoint)
    assert sizes(seen_again) == sizes(seen)[4:] == [32] * 2 + [64] * 6
    for (_, _, left, _), (_, _, right, _) in zip(seen[4:], seen_again, strict=True):
        assert [row["image_id"] for row in left] == [row["image_id"] for row in right]


@pytest.mark.slow
@pytest.mark.parametrize(("stop", "epochs"), [(1, [0]), (STEPS, [0]), (2 * STEPS + 1, [0, 1, 2])])
def test_a_training_that_is_told_to_stop_logs_the_epoch_it_is_in(make_trainer, stop, epochs):
    class Stopping(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            control.should_training_stop = state.global_step == stop

    trainer, _ = make_trainer()
    ProgressiveCallback(SCHEDULE).attach(trainer)
    trainer.add_callback(Stopping())
    trainer.train()
    logs = [entry for entry in trainer.state.log_history if "progressive/stage" in entry]
    assert [entry["progressive/stage"] for entry in logs] == [SCHEDULE.at(e).index for e in epochs]


@pytest.mark.slow
def test_training_twice_starts_over(make_trainer):
    trainer, seen = make_trainer()
    ProgressiveCallback(SCHEDULE).attach(trainer)
    trainer.train()
    trainer.train()
    assert sizes(seen) == ([32] * 2 * STEPS + [64] * 2 * STEPS) * 2


def test_attaching_makes_no_cycle(make_trainer):
    # Persistent workers of a trainer in a cycle are stopped late, and slowly.
    trainer, _ = make_trainer()
    callback = ProgressiveCallback(SCHEDULE).attach(trainer)
    trainer.train()
    freed = weakref.ref(trainer)
    del trainer
    assert freed() is None
    assert callback.schedule == SCHEDULE


def test_dropout_of_a_model_that_keeps_its_rate_as_a_number():
    backbone = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], layer_type="basic"
    )
    config = DetrConfig(
        use_timm_backbone=False,
        backbone_config=backbone,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        attention_dropout=0.3,
    )
    model = DetrForObjectDetection(config)
    apply_schedule(model, SCHEDULE, SCHEDULE.at(3))
    layer = model.model.encoder.layers[0]
    assert layer.dropout == 0.2
    assert layer.self_attn.attention_dropout == 0.3


@pytest.mark.slow
def test_wrong_use_is_refused(make_trainer):
    def refusal(trainer, attach=True):
        if attach:
            ProgressiveCallback(SCHEDULE).attach(trainer)
        with pytest.raises(InputError) as error:
            trainer.train()
        return str(error.value)

    assert "num_train_epochs=3: the schedule has 4" in refusal(make_trainer(num_train_epochs=3)[0])
    assert "max_steps=5: stages end with epochs" in refusal(make_trainer(max_steps=5)[0])
    assert "index=" in refusal(make_trainer()[0], attach=False)
    with pytest.raises(InputError, match="schedule=4: must be a ProgressiveSchedule"):
        ProgressiveCallback(4)
    for strategy in ("group_by_length", "batch_rebalance"):
        trainer, _ = make_trainer(train_sampling_strategy=strategy)
        with pytest.raises(InputError, match=f"train_sampling_strategy={strategy}: reads all"):
            ProgressiveCallback(SCHEDULE).attach(trainer)

    trainer, _ = make_trainer()
    trainer.add_callback(ProgressiveCallback(SCHEDULE))
    assert "add it with attach(trainer)" in refusal(trainer, attach=False)
    with pytest.raises(InputError, match="already has a ProgressiveCallback"):
        ProgressiveCallback(SCHEDULE).attach(trainer)

    class Stream(IterableDataset):
        def __iter__(self):
            return iter(())

        def __len__(self):
            return 4

    trainer, _ = make_trainer()
    trainer.train_dataset = Stream()
    assert "train_dataset: must have a length" in refusal(trainer)


def make_data(samples, side, **options):
    size = {"height": side, "width": side}
    return DetectionDataset(samples, YolosImageProcessor(size=size, do_normalize=False), **options)


@pytest.mark.parametrize(
    ("train", "evaluation", "message"),
    [
        (lambda s: make_data(s, 96), None, "size=96 in train_dataset: the schedule ends at 64"),
        (None, lambda s: make_data(s, 96, train=False), "size=96 in eval_dataset: the schedule"),
        (
            None,
            lambda s: {
                "a": make_data(s, 64, train=False),
                "b": Subset(make_data(s, 32, train=False), [0]),
            },
            "size=32 in eval_dataset: the schedule ends at 64",
        ),
        (lambda s: make_data(s, 64, train=False), None, "train_dataset: would not follow the st"),
        (
            None,
            lambda s: make_data(s, 64),
            "eval_dataset: would be of a stage; build it with train",
        ),
        (lambda s: Subset(make_data(s, 64), [0, 1]), None, "Subset: looks its index up in a list"),
        (
            lambda s: ConcatDataset([make_data(s, 64), make_data(s, 96)]),
            None,
            "size=96 in train_dataset",
        ),
    ],
)
def test_data_sets_that_do_not_fit_are_refused_before_training(
    make_trainer, samples, train, evaluation, message
):
    trainer, seen = make_trainer()
    if train is not None:
        trainer.train_dataset = train(samples)
    if evaluation is not None:
        trainer.eval_dataset = evaluation(samples)
    ProgressiveCallback(SCHEDULE).attach(trainer)
    with pytest.raises(InputError, match=message):
        trainer.train()
    assert seen == []


def test_several_data_sets_in_one_follow_the_stages(make_trainer, samples):
    trainer, seen = make_trainer()
    few = DetectionDataset(Subset(samples, [0, 1, 2, 3]), trainer.train_dataset.image_processor)
    trainer.train_dataset = ConcatDataset([few, few])
    ProgressiveCallback(SCHEDULE).attach(trainer)
    trainer.train()
    assert sizes(seen) == [32] * 2 * 2 + [64] * 2 * 2


@pytest.mark.parametrize(("patience", "steps"), [(1, 3 * STEPS), (2, 4 * STEPS)])
def test_early_stopping_waits_for_the_last_stage(make_trainer, patience, steps):
    trainer, seen = make_trainer(
        eval_strategy="epoch",
        learning_rate=0.0,  # so that nothing gets better
        metric_for_best_model="eval_loss",
        greater_is_better=False,
    )
    ProgressiveCallback(SCHEDULE).attach(trainer)
    stopping = EarlyStoppingCallback(early_stopping_patience=patience)
    trainer.add_callback(stopping)
    trainer.train()
    assert sizes(seen) == ([32] * 2 * STEPS + [64] * 2 * STEPS)[:steps]
    assert stopping.early_stopping_patience_counter >= 0

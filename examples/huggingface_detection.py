"""Progressive learning in the Hugging Face Trainer: a small YOLOS on the embedded digits."""

import argparse

from transformers import (
    Trainer,
    TrainingArguments,
    YolosConfig,
    YolosForObjectDetection,
    YolosImageProcessor,
)

from progressive import ProgressiveSchedule
from progressive.data.embedded.digits import NAMES, digits
from progressive.data.samples import YoloSamples
from progressive.hosts.transformers import (
    DetectionDataset,
    ProgressiveCallback,
    collate_detection,
)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--sizes", type=int, nargs=2, default=(96, 192), help="first and last")
    parser.add_argument("--resume", action="store_true", help="from the last checkpoint")
    args = parser.parse_args()
    schedule = ProgressiveSchedule.linear(
        epochs=args.epochs,
        stages=3,
        image_size=tuple(args.sizes),
        randaugment=(0, 5),
        mixup=(0, 0.2),
        dropout=(0, 0.1),
        stride=16,  # the side of a patch
    )

    size = schedule.image_size
    processor = YolosImageProcessor(size={"height": size, "width": size})
    images = digits().parent / "images"
    config = YolosConfig(
        image_size=(size, size),
        hidden_size=96,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=192,
        num_detection_tokens=20,
        use_mid_position_embeddings=False,
        num_labels=len(NAMES),
    )
    trainer = Trainer(
        YolosForObjectDetection(config),
        TrainingArguments(
            "runs/huggingface",
            num_train_epochs=schedule.epochs,
            per_device_train_batch_size=16,
            learning_rate=5e-4,
            eval_strategy="epoch",
            save_strategy="epoch",
            logging_strategy="epoch",
            dataloader_num_workers=2,
            dataloader_persistent_workers=True,
            prediction_loss_only=True,
            report_to="none",
        ),
        data_collator=collate_detection,
        train_dataset=DetectionDataset(YoloSamples(images / "train"), processor),
        eval_dataset=DetectionDataset(YoloSamples(images / "val"), processor, train=False),
        processing_class=processor,
    )
    ProgressiveCallback(schedule).attach(trainer)
    trainer.train(resume_from_checkpoint=args.resume)

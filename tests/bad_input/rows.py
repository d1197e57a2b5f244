"""Bad input, row by row: what is written on the command line, and what the answer names.

`python rows.py` runs all rows in one process, each from a folder of its own, and prints what became
of them; `test_rows.py` judges it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import struct
import sys
import tempfile
import zlib
from pathlib import Path

#: Text that stands for the data set of the row.
DATA = "data=data.yaml"

#: Settings, each row an override and what must be said of it.
SETTINGS = [
    ("stages=0", "stages=0"),
    ("stages=-1", "stages=-1"),
    ("stages=1.5", "stages=1.5"),
    ("stages=many", "stages=many"),
    ("stages=true", "stages=True"),
    ("stages=null", "stages=None"),
    ("stages=[1]", "stages=[1]"),
    ("stages=", "stages="),
    ("stages=100000", "stages=100000"),
    ("epochs=0", "epochs=0"),
    ("epochs=-3", "epochs=-3"),
    ("epochs=1e3", "epochs=1000.0"),
    ("epochs=nan", "epochs=nan"),
    ("epochs=inf", "epochs=inf"),
    ("epochs=1000000000", "epochs=1000000000"),
    ("epochs=2", "stages=4"),
    ("batch=0", "batch=0"),
    ("batch=-1", "batch=-1"),
    ("batch=0.5", "batch=0.5"),
    ("batch=9999999999", "batch=9999999999"),
    ("workers=-1", "workers=-1"),
    ("workers=100000", "workers=100000"),
    ("seed=-1", "seed=-1"),
    ("seed=4294967296", "seed=4294967296"),
    ("seed=x", "seed=x"),
    ("size.min=0", "size.min=0"),
    ("size.min=-32", "size.min=-32"),
    ("size.min=16", "size.min=16"),
    ("size.max=300", "size.max=300"),
    ("size.max=1000000000", "size.max=1000000000"),
    ("size.min=640 size.max=320", "size.min=640"),
    ("size=320", "size=320"),
    ("size.mid=1", "size.mid"),
    ("size=[64,32]", "size"),
    ("size=[32,1000000000]", "size"),
    ("size=[]", "size"),
    ("size=[33]", "size"),
    ("lr_by=wish", "lr_by=wish"),
    ("max_bad=2", "max_bad=2"),
    ("max_bad=nan", "max_bad=nan"),
    ("durations=4", "durations=4"),
    ("durations=[1,2]", "durations=[1"),
    ("durations=[1,1,1,0]", "durations=[1, 1, 1, 0]"),
    ("durations=[1,1,1,-1]", "durations=[1, 1, 1, -1]"),
    ("durations=[1,1,1,nan]", "durations="),
    ("durations=[1e308,1e308,1,1]", "durations="),
    ("durations=[1,1,1,x]", "durations="),
    ("durations=[]", "durations="),
    ("mixup=[0,2]", "mixup"),
    ("mixup.min=-0.1", "mixup.min=-0.1"),
    ("mixup.max=nan", "mixup.max=nan"),
    ("mixup.min=0.5 mixup.max=0.1", "mixup.min=0.5"),
    ("mixup=[1,2,3]", "mixup"),
    ("dropout.max=1", "dropout.max=1"),
    ("dropout.max=x", "dropout.max=x"),
    ("drop_path=inf", "drop_path"),
    ("drop_path=-1", "drop_path"),
    ("randaugment.max=-1", "randaugment.max=-1"),
    ("randaugment.max=nan", "randaugment.max=nan"),
    ("mosaic.min=0.5", "mosaic.max=null"),
    ("val_every=0", "val_every=0"),
    ("val_every=-1", "val_every=-1"),
    ("val_every=x", "val_every=x"),
    ("device=tpu", "device=tpu"),
    ("device=[0,0]", "device=[0, 0]"),
    ("device=-1", "device=-1"),
    ("cache=ram", "cache=ram"),
    ("cache=x", "cache=x"),
    ("merge_batches=maybe", "merge_batches=maybe"),
    ("train_faster=2", "train_faster=2"),
    ("probe=maybe", "probe=maybe"),
    ("price_per_hour=2", "price_per_hour=2"),
    ("price_per_hour=0 probe=true", "price_per_hour=0"),
    ("price_per_hour=nan probe=true", "price_per_hour=nan"),
    ("budget.minutes=0", "budget.minutes=0"),
    ("budget.minutes=1e300", "budget.minutes=1e+300"),
    ("budget.minutes=nan", "budget.minutes=nan"),
    ("task=paint", "task=paint"),
    ("task=classify", "data"),
    ("head=yolov99", "head=yolov99"),
    ("head=null", "head=null"),
    ("head.scale=q", "head.scale=q"),
    ("backbone=resnet1", "backbone=resnet1"),
    ("backbone=timm", "backbone.name"),
    ("backbone=timm backbone.name=resnet1", "backbone.name=resnet1"),
    ("backbone=timm backbone.name=hf-hub:someone/model", "backbone.name=hf-hub"),
    ("backbone.width=0", "backbone.width=0"),
    ("backbone.width=2", "backbone.width=2"),
    ("backbone.depth=nan", "backbone.depth=nan"),
    ("backbone.variant=3", "backbone.variant=3"),
    ("backbone.weights=none.pth backbone.width=1 backbone.depth=1", "backbone.weights=none.pth"),
    ("backbone.weights=weights.h5", "backbone.weights=weights.h5"),
    ("machine=tpu", "machine=tpu"),
    ("schedule=mine", "schedule=mine"),
    ("experiment=mine", "experiment=mine"),
    ("sze.min=1", "sze.min"),
    ("+sze.min=1", "sze.min"),
    ("nothing=1", "nothing"),
    ("~stages", "stages"),
    ("~nothing", "nothing"),
    ("=5", "=5: names no key"),
    ("@foo=1", "@foo=1: names no key"),
    ("+=5", "+=5: names no key"),
    ("~", "~: names no key"),
    ("hydra=1", "hydra=1"),
    ("foo@bar=1", "foo"),
    ("stages", "stages"),
    ("stages=[1", "stages=[1"),
    ("stages=1,2", "stages=1,2"),
    ("epochs=${nowhere}", "nowhere"),
    ("epochs=${oc.env:NOT_SET_AT_ALL}", "NOT_SET_AT_ALL"),
    ("--nonsense", "--nonsense"),
    ("--config-dir nowhere", "nowhere"),
    ("resume=nowhere", "resume=nowhere"),
    ("resume=nowhere epochs=3", "resume=nowhere: has no checkpoint"),
    ("resume= epochs=3", "resume=: has no checkpoint"),
    ("output=file", "output=file"),
    ("output=full", "output=full: is not empty"),
    ("output=loop", "output=loop: a link that loops"),
    ("output=loop/inside", "output=loop/inside: a link that loops"),
    ("resume=loop", "resume=loop: a link that loops"),
    ("output=file/inside", "output=file/inside"),
    ("output=x hydra.run.dir=y", "output=x"),
]

#: Arguments of Ultralytics.
TRAIN = [
    ("train.box=nan", "train.box=nan"),
    ("train.box=inf", "train.box=inf"),
    ("train.box=-1", "train.box=-1"),
    ("train.box=big", "train.box=big"),
    ("train.box=true", "train.box=True"),
    ("train.box=null", "train.box=None"),
    ("train.cls=-0.5", "train.cls=-0.5"),
    ("train.dfl=nan", "train.dfl=nan"),
    ("train.lr0=nan", "train.lr0=nan"),
    ("train.lr0=-0.1", "train.lr0=-0.1"),
    ("train.lr0=2", "train.lr0=2"),
    ("train.lr0=fast", "train.lr0=fast"),
    ("train.lrf=nan", "train.lrf=nan"),
    ("train.momentum=1.5", "train.momentum=1.5"),
    ("train.weight_decay=-1", "train.weight_decay=-1"),
    ("train.warmup_epochs=-1", "train.warmup_epochs=-1"),
    ("train.warmup_epochs=nan", "train.warmup_epochs=nan"),
    ("train.close_mosaic=-1", "train.close_mosaic=-1"),
    ("train.close_mosaic=1.5", "train.close_mosaic=1.5"),
    ("train.patience=-1", "train.patience=-1"),
    ("train.save_period=-2", "train.save_period=-2"),
    ("train.nbs=0", "train.nbs=0"),
    ("train.nbs=-64", "train.nbs=-64"),
    ("train.nbs=64.5", "train.nbs=64.5"),
    ("train.max_det=0", "train.max_det=0"),
    ("train.mask_ratio=0", "train.mask_ratio=0"),
    ("train.degrees=nan", "train.degrees=nan"),
    ("train.degrees=1000", "train.degrees=1000"),
    ("train.shear=999", "train.shear=999"),
    ("train.translate=2", "train.translate=2"),
    ("train.hsv_h=-1", "train.hsv_h=-1"),
    ("train.fliplr=1.1", "train.fliplr=1.1"),
    ("train.mosaic=nan", "train.mosaic=nan"),
    ("train.mosaic=2", "train.mosaic=2"),
    ("train.copy_paste=-1", "train.copy_paste=-1"),
    ("train.erasing=2", "train.erasing=2"),
    ("train.conf=2", "train.conf=2"),
    ("train.iou=-1", "train.iou=-1"),
    ("train.scale=2", "train.scale=2"),
    ("train.scale=[1,2,3]", "train.scale=[1, 2, 3]"),
    ("train.scale=[2,1]", "train.scale=[2, 1]"),
    ("train.scale=[nan,1]", "train.scale=[nan, 1]"),
    ("train.fraction=0", "train.fraction=0"),
    ("train.fraction=-1", "train.fraction=-1"),
    ("train.fraction=1.5", "train.fraction=1.5"),
    ("train.fraction=true", "train.fraction=True"),
    ("train.fraction=[1]", "train.fraction=[1]"),
    ("train.optimizer=Foo", "train.optimizer=Foo"),
    ("train.optimizer=fish", "train.optimizer=fish"),
    ("train.optimizer=3", "train.optimizer=3"),
    ("train.optimizer=null", "train.optimizer=None"),
    ("train.split=foo", "train.split=foo"),
    ("train.split=test", "train.split=test"),
    ("train.copy_paste_mode=foo", "train.copy_paste_mode=foo"),
    ("train.auto_augment=foo", "train.auto_augment=foo"),
    ("train.compile=maybe", "train.compile=maybe"),
    ("train.amp=maybe", "train.amp=maybe"),
    ("train.amp=null", "train.amp=None"),
    ("train.freeze=abc", "train.freeze=abc"),
    ("train.freeze=-1", "train.freeze=-1"),
    ("train.freeze=1.5", "train.freeze=1.5"),
    ("train.freeze=[1.5]", "train.freeze=[1.5]"),
    ("train.classes=[7]", "train.classes=[7]"),
    ("train.classes=7", "train.classes=7"),
    ("train.classes=[-1]", "train.classes=[-1]"),
    ("train.classes=[a]", "train.classes=['a']"),
    ("train.classes=[]", "train.classes=[]"),
    ("train.cos_lr=2", "train.cos_lr=2"),
    ("train.single_cls=yes_please", "train.single_cls=yes_please"),
    ("train.val=maybe", "train.val=maybe"),
    ("train.plots=null", "train.plots=None"),
    ("train.rect=true", "train.rect=True"),
    ("train.multi_scale=0.5", "train.multi_scale=0.5"),
    ("train.time=1", "train.time=1"),
    ("train.distill_model=x.pt", "train.distill_model=x.pt"),
    ("train.epochs=3", "train.epochs=3"),
    ("train.imgsz=320", "train.imgsz=320"),
    ("train.model=x.pt", "train.model=x.pt"),
    ("train.resume=true", "train.resume=True"),
    ("train.lrr0=1", "train.lrr0"),
    ("train.callbacks=x", "train.callbacks"),
    ("train.mixup=0.5 mixup.max=0.5", "train.mixup=0.5"),
    ("train.dropout=0.5 dropout.max=0.5", "train.dropout=0.5"),
    ("train=3", "train=3"),
    # Each batch of the smallest stage, or its last one, is a single image.
    ("batch=11 size.min=32 train.nbs=11", "stage 1/4 at 32 px: the last batch of 12 images"),
    ("batch=1 size.min=32 train.nbs=1", "stage 1/4 at 32 px: every batch is one image"),
    ("stages=4 epochs=4 train.nbs=5000 train.warmup_epochs=0", "stage 1/4"),
]

#: Texts of a data.yaml and what must be said; the rest of the line is DATA.
YAMLS = [
    ("", "data.yaml: data"),
    ("[1", "data.yaml: data: is not valid YAML"),
    ("- 1", "data.yaml: data: must be a mapping"),
    ("3", "data.yaml: data: must be a mapping"),
    ("a: &a [*a]", "data.yaml"),
    ("train: images/train\nval: images/val", "data.yaml: names"),
    ("train: images/train\nval: images/val\nnames: []", "data.yaml: names"),
    ("train: images/train\nval: images/val\nnames: 3", "data.yaml: names"),
    ("train: images/train\nval: images/val\nnames: {0: a, 2: b}", "data.yaml: names"),
    ("train: images/train\nval: images/val\nnames: {a: b}", "data.yaml: names"),
    ("train: images/train\nval: images/val\nnames: [null]", "data.yaml: names[0]"),
    ("train: images/train\nval: images/val\nnames: [[a]]", "data.yaml: names[0]"),
    ("train: images/train\nval: images/val\nnames: [a]\nnc: 2", "data.yaml: nc"),
    ("train: images/train\nval: images/val\nnc: 0", "data.yaml: nc"),
    ("train: images/train\nval: images/val\nnc: -1", "data.yaml: nc"),
    ("train: images/train\nval: images/val\nnc: .nan", "data.yaml: nc"),
    ("train: images/train\nval: images/val\nnc: .inf", "data.yaml: nc"),
    ("train: images/train\nval: images/val\nnc: many", "data.yaml: nc"),
    ("val: images/val\nnames: [a]", "data.yaml: train: missing"),
    ("train: images/train\nnames: [a]", "data.yaml: val: missing"),
    ("train: 3\nval: images/val\nnames: [a]", "data.yaml: train"),
    ("train: []\nval: images/val\nnames: [a]", "data.yaml: train"),
    ("train: gone\nval: images/val\nnames: [a]", "data.yaml: train"),
    ("train: images/train/0.png\nval: images/val\nnames: [a]", "data.yaml: train"),
    ("train: list.txt\nval: images/val\nnames: [a]", "data.yaml: train"),
    ("train: empty\nval: images/val\nnames: [a]", "data.yaml: train"),
    ("train: bare\nval: images/val\nnames: [a]", "data.yaml: train"),
    ("path: gone\ntrain: images/train\nval: images/val\nnames: [a]", "data.yaml: path"),
    ("path: 3\ntrain: images/train\nval: images/val\nnames: [a]", "data.yaml: path"),
    ("path: gone\ntrain: a\nval: b\nnames: [a]\ndownload: echo", "download field is never"),
    ("train: !!python/object:os.x {}\nval: b\nnames: [a]", "data.yaml: data: is not valid YAML"),
    ("train: 2024-99-99\nval: b\nnames: [a]", "data.yaml"),
]

#: What `data` may be named, and what must be said.
NAMES = [
    ("data=gone.yaml", "gone.yaml"),
    ("data=digit", "digit"),
    ("data=blur", "blur"),
    ("data=.", "is a folder"),
    ("data=file", "file"),
    ("data=https://example.org/data.zip", "nothing is downloaded"),
    ("data=ul://someone/data", "nothing is downloaded"),
    ("data=archive.zip", "nothing is unpacked"),
    ("data=", "data="),
    ("data=null", "data=None"),
    ("data=[1,2]", "data="),
    ("task=classify data=images", "images: train"),
    ("task=classify data=empty", "train"),
]

#: Settings in the folder of an interrupted run, and what must be said.
RUNS = [
    ("", "config.yaml: None"),
    ("[1", "config.yaml"),
    ("- 1", "config.yaml: [1]"),
    ("epochs: 0", "config.yaml: task: missing"),
    ("!!python/object/apply:os.getcwd []", "config.yaml"),
    ("\0", "config.yaml"),
]

ROWS: list[tuple[str, str, str | None]] = [
    *((arguments, said, None) for arguments, said in SETTINGS),
    *((f"{arguments} {DATA}", said, None) for arguments, said in TRAIN),
    *((DATA, said, text) for text, said in YAMLS),
    *((arguments, said, None) for arguments, said in NAMES),
    *(("resume=run", said, text) for text, said in RUNS),
]


def picture(seed: str) -> bytes:
    """Return a grey PNG of 64 px with other pixels for each seed."""
    noise = random.Random(seed)
    pixels = b"".join(b"\0" + noise.randbytes(64) for _ in range(64))
    head = struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(pixels)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


def furnish(text: str | None, arguments: str) -> None:
    """Make in this folder what rows speak of: 12 images for training, 4 for validation."""
    for split, count in {"train": 12, "val": 4}.items():
        for kind in ("images", "labels"):
            Path(kind, split).mkdir(parents=True)
        for number in range(count):
            Path("images", split, f"{number}.png").write_bytes(picture(f"{split} {number}"))
            Path("labels", split, f"{number}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    for folder in ("empty", "bare", "full"):
        Path(folder).mkdir()
    Path("bare", "0.jpg").touch()
    Path("full", "file").touch()
    Path("file").touch()
    Path("loop").symlink_to("loop")
    Path("list.txt").write_text("./gone.jpg\n")
    good = "train: images/train\nval: images/val\nnames: [box]\n"
    Path("data.yaml").write_text(text if arguments == DATA and text is not None else good)
    if arguments == "resume=run":
        Path("run", "weights").mkdir(parents=True)
        Path("run", "weights", "last.pt").touch()
        Path("run", "config.yaml").write_text(text or "")


def listing() -> list[str]:
    """Return every path below this folder."""
    return sorted(str(path) for path in Path().rglob("*"))


def outcome(arguments: str, text: str | None) -> dict[str, object]:
    """Run the command line of a row."""
    from progressive.config.command_line import run_with_hydra
    from progressive.run import run

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        furnish(text, arguments)
        before = listing()
        machine = [] if "machine=" in arguments else ["machine=cpu"]
        device = [] if "device=" in arguments else ["device=cpu"]
        defaults = [] if "resume=" in arguments else [*machine, *device]
        sys.argv = ["progressive", "dry_run=true", *defaults, *arguments.split(" ")]
        said, printed = io.StringIO(), io.StringIO()
        code: object = 0
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(printed):
            try:
                run_with_hydra(run)
            except SystemExit as end:
                code = end.code
            except BaseException as error:
                code = f"{type(error).__name__}: {error}"
        return {
            "code": code,
            "said": said.getvalue(),
            "printed": printed.getvalue(),
            "written": sorted(set(listing()) ^ set(before)),
            "heavy": sorted({"torch", "ultralytics", "timm", "cv2"} & set(sys.modules)),
        }


if __name__ == "__main__":
    home = Path.cwd()
    found = []
    for arguments, _, text in ROWS:
        found.append(outcome(arguments, text))
        os.chdir(home)
    print(json.dumps(found))

"""The options of `gan train` that all variants share: data, length, machine, output."""

import re
from dataclasses import dataclass
from typing import Literal

from gancli.config import interval, suggestions
from gancli.config.option import option

DATA_ROOT = "~/.cache/gancli"
MODEL, DATA, BUDGET, MACHINE, OUTPUT = "Model", "Data", "Training", "Machine", "Output"
MAX_PROCESSES = 1024
RANDOM_WEIGHTS = "none"  # a value of init_from
DEVICES = ("auto", "cpu", "cuda", "cuda:0", "mps")


def device_name(text: object) -> None:
    """Raises `ValueError` for a text that is not a device's name; whether this machine has it is checked elsewhere."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:[0-9]+)?", str(text)):
        hint = suggestions.of_value("--device", str(text), DEVICES)
        raise ValueError(f"must be auto, cpu, cuda, cuda:N or mps{hint}")


def process_count(text: object) -> None:
    """Raises `ValueError` for a text that is neither `auto` nor a possible number of processes."""
    if text != "auto" and not (str(text).isdecimal() and 1 <= int(str(text)) <= MAX_PROCESSES):
        raise ValueError(f"must be auto, or a number from 1 to {MAX_PROCESSES}")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Every option of `gan train` that all variants share. None means that `engine.plan` chooses the value."""

    variant: str = option(
        "vanilla",
        "the model: one of `gan variants`, or a .py file of your own",
        short="-v",
        metavar="NAME|FILE",
        panel=MODEL,
    )
    preset: str = option("default", "a named set of option values of the variant", metavar="NAME", panel=MODEL)
    init_from: str | None = option(
        None, "initialise from another model (matching weights only): a run directory (D's too), a checkpoint, a "
        "pretrained model or hf:OWNER/NAME; none: random weights", metavar="RUN|CKPT", panel=MODEL, path=True,
        default_text="random weights; of dcgan for your own images and for colour: dcgan-32 or dcgan-64",
    )  # fmt: skip

    dataset: str = option(
        "digits", "name of a dataset; folder, zip, tar or Parquet file of images; or hf:OWNER/NAME (Hugging Face Hub)",
        short="-d", metavar="NAME|PATH", panel=DATA, path=True,
    )  # fmt: skip
    split: str | None = option(
        None, "split of an hf: dataset to train on", metavar="NAME", panel=DATA, default_text="train, or the only one"
    )
    image_column: str | None = option(
        None,
        "column of the images in Parquet files",
        metavar="NAME",
        panel=DATA,
        default_text="chosen by its type and name",
    )
    label_column: str | None = option(
        None,
        "column of the labels in Parquet files",
        metavar="NAME",
        panel=DATA,
        default_text="chosen by its type and name",
    )
    data_root: str = option(
        DATA_ROOT, "folder of downloaded and cached datasets", env="GAN_DATA", metavar="DIR", panel=DATA, path=True
    )
    download: bool = option(True, "download a dataset that is missing", panel=DATA)
    image_size: int | None = option(
        None, "height and width, in pixels", ge=4, le=1024, panel=DATA, default_text="the dataset's own"
    )
    fit: Literal["crop", "pad", "stretch"] | None = option(
        None, "how your images are made square: crop to the centre, pad with the colours of the edges, or stretch",
        panel=DATA, default_text="crop",
    )  # fmt: skip
    mirror: bool | None = option(
        None,
        "flip half of the images horizontally",
        panel=DATA,
        default_text="your own colour images",
    )
    held_out: int | None = option(
        None, "images held out of training to detect overfitting of D; 0: none", ge=0, le=10**6, panel=DATA,
        default_text="a sixteenth (8 to 256) of your own images if there are 100 to 20,000",
    )  # fmt: skip
    on_bad_image: Literal["fail", "skip"] = option("fail", "what to do with an unreadable image", panel=DATA)

    epochs: int | None = option(
        None, "length of the run, in passes over the data", ge=1, le=10**9, panel=BUDGET, default_text="the variant's"
    )
    steps: int | None = option(None, "length of the run, in steps, instead of --epochs", ge=1, le=10**12, panel=BUDGET)
    within: str | None = option(
        None, "shorten a new run to what takes about this time (30m, 3h) by the pace of its first steps; their number is "
        "then fixed", metavar="TIME", panel=BUDGET, validate=interval.seconds, default_text="the whole length",
    )  # fmt: skip
    max_time: str | None = option(
        None, "stop after this time (90s, 30m, 3h) with the state saved; exit code 75",
        metavar="TIME", panel=BUDGET, validate=interval.seconds,
    )  # fmt: skip
    batch_size: int = option(128, "images per step", ge=1, le=65536, panel=BUDGET, default_text="the variant's")
    accumulate: int = option(
        1, "batches per step, computed one after the other: the update of a batch so many times as large, in the memory "
        "of one", ge=1, le=65536, panel=BUDGET,
    )  # fmt: skip
    seed: int = option(0, "seed of every random choice of the run", ge=0, lt=2**63, panel=BUDGET)
    ema: float = option(
        0.999, "decay of the moving average of G's weights, per step; 0: no average", ge=0, lt=1, panel=BUDGET
    )

    device: str = option(
        "auto",
        "auto, cpu, cuda, cuda:N or mps",
        env="GAN_DEVICE",
        metavar="DEVICE",
        panel=MACHINE,
        validate=device_name,
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = option(
        "auto", "precision of the computation; weights stay fp32", panel=MACHINE
    )
    graph: bool | None = option(
        None, "capture and replay whole steps (on CUDA as CUDA graphs)", panel=MACHINE, default_text="yes; not on MPS"
    )
    compile: Literal["auto", "yes", "no", "max"] = option(
        "auto", "compile the step (--compile alone: yes; --no-compile: no; max: autotune kernels, not bit-exact)",
        panel=MACHINE, default_text="on CUDA, if the run is long enough",
    )  # fmt: skip
    deterministic: bool = option(False, "use only deterministic algorithms (slower on CUDA)", panel=MACHINE)
    threads: int | None = option(
        None, "CPU threads", ge=1, le=1024, env="GAN_THREADS", panel=MACHINE, default_text="by the size of the model"
    )

    out: str | None = option(
        None,
        "run directory",
        short="-o",
        metavar="DIR",
        panel=OUTPUT,
        path=True,
        default_text="runs/VARIANT-DATASET-NNN",
    )
    log_every: int = option(100, "steps per line of losses", ge=1, le=10**9, panel=OUTPUT)
    sample_every: int | None = option(
        None, "steps between sample grids", ge=1, le=10**12, panel=OUTPUT,
        default_text="a tenth of the run, more often at the start",
    )  # fmt: skip
    save_every: str | None = option(
        None, "interval between saved states: a time (10m, 1h), a number of steps, or both (1000,10m: the sooner)",
        metavar="TIME|STEPS", panel=OUTPUT, default_text="a tenth of the run, or 10m if that is shorter",
        validate=interval.parse,
    )  # fmt: skip
    eval_every: int | None = option(
        None, "steps between evaluations, which keep the best model in best.safetensors", ge=1, le=10**12, panel=OUTPUT,
        default_text="never",
    )  # fmt: skip
    eval_metric: Literal["auto", "frechet", "coverage", "density", "gan-test", "modes", "kl", "psnr"] = option(
        "auto",
        "metric that decides which model is best (modes, kl: for stacked-mnist)",
        panel=OUTPUT,
        only_with="eval_every",
    )
    tensorboard: bool = option(False, "also write TensorBoard event files (extra tensorboard)", panel=OUTPUT)
    wandb: bool = option(False, "also log to Weights & Biases (extra wandb)", panel=OUTPUT)
    keep: int = option(2, "number of saved states to keep", ge=2, le=10**6, panel=OUTPUT)
    report: bool = option(True, "write report.html, a page about the run, when it ends", panel=OUTPUT)
    progress: Literal["auto", "live", "plain", "json", "none"] = option(
        "auto", "how progress is shown", env="GAN_PROGRESS", panel=OUTPUT
    )


@dataclass(frozen=True, kw_only=True)
class TrainCommandConfig:
    """The options of `gan train` that are not stored with the run."""

    resume: str | None = option(
        None, "resume a run exactly where it stopped; auto: the run in --out if there is one, else start it",
        metavar="auto|RUN|FILE", panel=OUTPUT, path=True, raw=True,
    )  # fmt: skip
    config: str | None = option(
        None, "read values from a file, such as a run's config.toml",
        metavar="FILE.toml", panel=OUTPUT, path=True, raw=True,
    )  # fmt: skip
    processes: str | None = option(
        None, "train in so many processes on this machine; auto: one per GPU", metavar="N|auto", panel=MACHINE,
        validate=process_count, default_text="1",
    )  # fmt: skip
    dry_run: bool = option(
        False, "show every value and its origin, or the runs of a sweep, without training", panel=OUTPUT, switch=True
    )
    only: int | None = option(
        None, "train only this run of a sweep (several values of an option: --seed 0-9, --lr 1e-4,1e-3), counted from 0",
        metavar="K", panel=OUTPUT,
    )  # fmt: skip

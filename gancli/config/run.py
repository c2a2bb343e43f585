"""What a run is told that is not the model's own: data, budget, machine, output."""

import re
from dataclasses import dataclass
from typing import Literal

from gancli.config import interval, suggestions
from gancli.config.option import option

DATA_ROOT = "~/.cache/gancli"
MODEL, DATA, BUDGET, MACHINE, OUTPUT = "Model", "Data", "Training", "Machine", "Output"

DEVICES = ("auto", "cpu", "cuda", "cuda:0", "mps")


def device_name(text: object) -> None:
    """Raises `ValueError` for what names no device, be it there or not."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:[0-9]+)?", str(text)):
        raise ValueError(
            f"must be auto, cpu, cuda, cuda:N or mps{suggestions.of_value('--device', str(text), DEVICES)}"
        )


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Every option of `gan train` that all variants share. `None` stands for "work it out" until `engine.plan` has."""

    variant: str = option("vanilla", "the model: see `gan variants`", short="-v", metavar="NAME", panel=MODEL)
    preset: str = option("default", "a named set of the variant's values", metavar="NAME", panel=MODEL)
    init_from: str | None = option(
        None,
        "start from another model's weights, those that fit: a run directory (D's too), a checkpoint, or a model's name",
        metavar="RUN|CKPT",
        panel=MODEL,
        path=True,
        default_text="random ones",
    )

    dataset: str = option(
        "digits",
        "a data set's name, or a folder, zip, tar or Parquet file of images",
        short="-d",
        metavar="NAME|PATH",
        panel=DATA,
        path=True,
    )
    data_root: str = option(
        DATA_ROOT, "where data sets lie and are downloaded to", env="GAN_DATA", metavar="DIR", panel=DATA, path=True
    )
    download: bool = option(True, "fetch a data set that is not there", panel=DATA)
    image_size: int | None = option(
        None, "height and width, in pixels", ge=4, le=1024, panel=DATA, default_text="the data set's own"
    )
    fit: Literal["crop", "pad", "stretch"] | None = option(
        None,
        "how one's own pictures become squares: their centre, with bars in the colours of their edges, or distorted",
        panel=DATA,
        default_text="crop",
    )
    mirror: bool | None = option(
        None,
        "show half of the pictures mirrored",
        panel=DATA,
        default_text="one's own in colour, where they are fewer than 10,000",
    )
    held_out: int | None = option(
        None,
        "images held out of training to detect overfitting of D; 0: none",
        ge=0,
        le=10**6,
        panel=DATA,
        default_text="a sixteenth (8 to 256) of your own images if there are 100 to 20,000",
    )
    on_bad_image: Literal["fail", "skip"] = option("fail", "what to do about an unreadable image", panel=DATA)

    epochs: int | None = option(
        None, "length of the run, in passes over the data", ge=1, le=10**9, panel=BUDGET, default_text="the variant's"
    )
    steps: int | None = option(None, "length of the run, in steps, instead of --epochs", ge=1, le=10**12, panel=BUDGET)
    max_time: str | None = option(
        None,
        "stop after this long (90s, 30m, 3h), state saved, exit code 75",
        metavar="TIME",
        panel=BUDGET,
        reads=interval.seconds,
    )
    batch_size: int = option(128, "images per step", ge=1, le=65536, panel=BUDGET, default_text="the variant's")
    seed: int = option(0, "fixes every random choice of the run", ge=0, lt=2**63, panel=BUDGET)
    ema: float = option(0.999, "decay of the averaged generator, per step; 0: no average", ge=0, lt=1, panel=BUDGET)

    device: str = option(
        "auto",
        "auto, cpu, cuda, cuda:N or mps",
        env="GAN_DEVICE",
        metavar="DEVICE",
        panel=MACHINE,
        reads=device_name,
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = option(
        "auto", "of the arithmetic; weights stay fp32", panel=MACHINE
    )
    graph: bool | None = option(
        None, "replay whole steps (on CUDA as CUDA graphs)", panel=MACHINE, default_text="yes; not on MPS"
    )
    compile: Literal["auto", "yes", "no", "max"] = option(
        "auto",
        "compile the step, for long runs (alone: yes; --no-compile: no; max: choose kernels by timing, not bit for bit)",
        panel=MACHINE,
        default_text="on CUDA, where a run is long enough to pay for it",
    )
    deterministic: bool = option(False, "only algorithms that repeat bit for bit (slower on CUDA)", panel=MACHINE)
    threads: int | None = option(
        None, "CPU threads", ge=1, le=1024, env="GAN_THREADS", panel=MACHINE, default_text="by the size of the model"
    )

    out: str | None = option(
        None,
        "the run directory",
        short="-o",
        metavar="DIR",
        panel=OUTPUT,
        path=True,
        default_text="runs/VARIANT-DATASET-NNN",
    )
    log_every: int = option(100, "steps per line of losses", ge=1, le=10**9, panel=OUTPUT)
    sample_every: int | None = option(
        None,
        "steps between sample grids",
        ge=1,
        le=10**12,
        panel=OUTPUT,
        default_text="a tenth of the run, and at first sooner",
    )
    save_every: str | None = option(
        None,
        "when states are saved: a time (10m, 1h), a number of steps (only then), or both (1000,10m: whichever comes first)",
        metavar="TIME|STEPS",
        panel=OUTPUT,
        default_text="a tenth of the run, at the latest after 10m",
        reads=interval.parse,
    )
    eval_every: int | None = option(
        None,
        "steps between measurements, which keep best.safetensors",
        ge=1,
        le=10**12,
        panel=OUTPUT,
        default_text="never",
    )
    eval_metric: Literal["auto", "frechet", "coverage", "density", "gan-test", "modes", "kl", "psnr"] = option(
        "auto",
        "what decides which model is the best (modes, kl: on stacked-mnist)",
        panel=OUTPUT,
        only_with="eval_every",
    )
    tensorboard: bool = option(
        False, "also write TensorBoard's event files, in the run directory (extra tensorboard)", panel=OUTPUT
    )
    keep: int = option(2, "how many saved states stay", ge=2, le=10**6, panel=OUTPUT)
    report: bool = option(True, "leave the run as a page, report.html, in its directory when it ends", panel=OUTPUT)
    progress: Literal["auto", "live", "plain", "json", "none"] = option(
        "auto", "how progress is shown", env="GAN_PROGRESS", panel=OUTPUT
    )


@dataclass(frozen=True, kw_only=True)
class TrainCommandConfig:
    """The options of `gan train` that are not kept with the run."""

    resume: str | None = option(
        None,
        "go on exactly where a run stopped; auto: the run in --out if there is one, else start",
        metavar="auto|RUN|FILE",
        panel=OUTPUT,
        path=True,
        raw=True,
    )
    config: str | None = option(
        None,
        "take values from a file, such as a run's config.toml",
        metavar="FILE.toml",
        panel=OUTPUT,
        path=True,
        raw=True,
    )
    dry_run: bool = option(
        False, "show every value and its origin, or the runs of a sweep; train nothing", panel=OUTPUT, switch=True
    )
    only: int | None = option(
        None,
        "of a sweep (several values of an option: --seed 0-9, --lr 1e-4,1e-3) this run alone; from 0",
        metavar="K",
        panel=OUTPUT,
    )

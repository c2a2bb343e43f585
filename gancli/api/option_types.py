"""The options of `gancli.train` with their types, for editors and type checkers. Made from the options by
`python -m tests.docs.pages`. An option of one variant is an error at run time with another."""

import datetime
import os
from typing import Literal, SupportsFloat, SupportsIndex, TypedDict

from gancli.data.dataset_object import MapDataset

Int = int | SupportsIndex  # NumPy's and torch's, too
Float = float | SupportsFloat
Path = str | os.PathLike[str]
Time = str | Float | datetime.timedelta  # "1h30m", or a number of seconds


class TrainOptions(TypedDict, total=False):
    config: Path | None
    resume: Path | None
    preset: str | None
    init_from: Path | None
    dataset: Path | MapDataset | None
    split: str | None
    image_column: str | None
    label_column: str | None
    data_root: Path | None
    download: bool | None
    image_size: Int | None
    fit: Literal["crop", "pad", "stretch"] | None
    mirror: bool | None
    held_out: Int | None
    on_bad_image: Literal["fail", "skip"] | None
    epochs: Int | None
    steps: Int | None
    within: Time | None
    max_time: Time | None
    batch_size: Int | None
    accumulate: Int | None
    seed: Int | None
    ema: Float | None
    device: str | None
    precision: Literal["auto", "fp32", "bf16", "fp16"] | None
    graph: bool | None
    compile: Literal["auto", "yes", "no", "max"] | None
    deterministic: bool | None
    threads: Int | None
    out: Path | None
    log_every: Int | None
    sample_every: Int | None
    save_every: Time | None
    eval_every: Int | None
    eval_metric: Literal["auto", "frechet", "coverage", "density", "gan-test", "modes", "kl", "psnr"] | None
    tensorboard: bool | None
    wandb: bool | None
    keep: Int | None
    report: bool | None
    progress: Literal["auto", "live", "plain", "json", "none", "notebook"] | None
    latent_dim: Int | None
    noise: Literal["normal", "uniform", "unit-uniform"] | None
    width: Int | None
    inner_width: Int | None
    slope: Float | None
    norm: Literal["batch", "none", "spectral"] | None
    discriminator: Literal["leaky", "maxout"] | None
    input_dropout: Float | None
    dropout: Float | None
    loss: Literal["non-saturating", "relativistic", "hinge", "least-squares", "wasserstein"] | None
    r1: Float | None
    r2: Float | None
    gp: Float | None
    optimizer: Literal["adam", "sgd"] | None
    lr: Float | None
    d_lr: Float | None
    d_steps: Int | None
    lr_decay: Float | None
    lr_schedule: Literal["linear", "cosine"] | None
    warmup: Int | None
    beta1: Float | None
    latent_width: Int | None
    label_width: Int | None
    conditional: bool | None
    self_conditioned: Int | None
    label_scale: Float | None
    upsampling: Literal["resize", "transposed"] | None
    augment: str | None
    resize: Literal["bilinear", "binomial"] | None
    coarsest: Int | None
    coarse_width: Int | None
    coarse_d_width: Int | None
    coarse_layers: Literal["dense", "convolutional"] | None
    coarse_updates: Int | None
    layers: Literal["strided", "flat"] | None
    d_sees: Literal["sum", "enhanced"] | None
    d_norm: Literal["batch", "none", "spectral"] | None
    coarse_r1: Float | None
    bounded: bool | None
    perturb: Float | None
    coarse_lr: Float | None
    scale: Int | None
    blocks: Int | None
    skip: Literal["bicubic", "none"] | None
    upsampler: Literal["direct", "doubling"] | None
    d_width: Int | None
    content: Literal["mse", "features", "vgg"] | None
    vgg_weights: Path | None
    adversarial: Float | None
    pretrain_steps: Int | None
    adversarial_lr: Float | None
    decay: Literal["cosine", "step"] | None
    smoothing: Float | None
    shift: Float | None

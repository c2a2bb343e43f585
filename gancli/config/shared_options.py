"""The base class of all variants' options, and options that several variants share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from gancli.config.option import option
from gancli.errors import UsageError

Loss = Literal["non-saturating", "relativistic", "hinge", "least-squares", "wasserstein"]
UpdateRule = Literal["adam", "sgd"]
DecayShape = Literal["linear", "cosine"]


@dataclass(frozen=True, kw_only=True)
class VariantConfig:
    """The hyperparameters of one variant; each variant derives its `Config` from this class. Values are checked where they
    are parsed or read from a file, not when a configuration is made.

    `presets` maps a preset's name to the values it changes: options of this class or of `RunConfig`. What a preset does
    not name keeps the value of `default`, and what that does not name keeps the option's own default.
    """

    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {"default": {}}

    defaults_for_grey: ClassVar[Mapping[str, object]] = {}
    """What the preset `default` changes for named datasets of grey images."""

    def check(self) -> None:
        """Check rules that involve several options. Raises `UsageError`."""


def adversarial_loss() -> Any:
    return option("non-saturating", "adversarial loss of G and D")


def r1_weight(weight: float) -> Any:
    return option(weight, "weight of the R1 penalty; 0: none", ge=0, le=1000, source="Mescheder et al. 2018")


def r2_weight() -> Any:
    return option(
        0.0, "weight of the R2 penalty, on generated images; 0: none", ge=0, le=1000, source="Mescheder et al. 2018"
    )


def gp_weight() -> Any:
    return option(0.0, "weight of the gradient penalty; 0: none", ge=0, le=1000, source="Gulrajani et al. 2017")


def update_rule() -> Any:
    return option("adam", "update rule; sgd follows the paper's schedules of learning rate and momentum")


def learning_rate(rate: float = 1e-3, part: str = "") -> Any:
    return option(rate, f"learning rate{part}", gt=0, le=1)


def d_learning_rate() -> Any:
    return option(None, "learning rate of D", gt=0, le=1, default_text="that of --lr")


def d_steps() -> Any:
    help_text = "updates of D per update of G, each on its own part of the batch"
    return option(1, help_text, ge=1, le=100, source="k in Goodfellow et al. 2014, Algorithm 1")


def final_decay(fraction: float, only_with: str | None = None) -> Any:
    help_text = "decay the learning rate to 0 over this last fraction of the run"
    return option(fraction, help_text, ge=0, le=1, only_with=only_with, former="falling")


def decay_shape(only_with: str | None = None) -> Any:
    return option("linear", "shape of the decay of --lr-decay", only_with=only_with)


def num_clusters(default_text: str, images: str = "the images", only_with: str | None = None) -> Any:
    return option(
        0,
        f"clusters of {images} that take the place of classes, at most one per 100 images used; 0: none",
        ge=0,
        le=1_000,
        source="Liu et al. 2020",
        default_text=f"{default_text}; 0 for files of earlier versions",
        only_with=only_with,
    )


def warmup_steps(only_with: str | None = None) -> Any:
    help_text = "first steps, over which the learning rate rises linearly to its value; 0: none"
    return option(0, help_text, ge=0, le=10**9, only_with=only_with)


def check_schedule(lr_decay: float, lr_schedule: DecayShape) -> None:
    """Raises `UsageError` for a shape of a decay that does not take place."""
    if lr_schedule != "linear" and not lr_decay:
        raise UsageError(
            f"--lr-schedule {lr_schedule}: the learning rate does not decay; give --lr-decay too (1: over the whole run)"
        )


def adam_beta1(value: float = 0.5, only_with: str | None = None, source: str | None = None) -> Any:
    return option(value, "Adam's beta1", ge=0, lt=1, only_with=only_with, source=source)


@dataclass(frozen=True, kw_only=True)
class FullyConnectedConfig(VariantConfig):
    """Options of the variants with fully connected networks."""

    latent_dim: int = option(32, "length of z, not counting the numbers that choose a cluster", ge=1, le=8192)
    noise: Literal["normal", "uniform", "unit-uniform"] = option(
        "normal", "distribution of z: N(0, 1), U(-1, 1) or U(-√3, √3)"
    )
    width: int = option(512, "units of the hidden layer next to the image", ge=1, le=16384)
    inner_width: int = option(256, "units of the other hidden layer", ge=1, le=16384)
    slope: float = option(0.2, "negative slope of the leaky ReLU; 0: ReLU", ge=0, lt=1)
    norm: Literal["batch", "none"] = option("batch", "normalisation of G's hidden layers")
    discriminator: Literal["leaky", "maxout"] = option("leaky", "D's hidden layers: leaky ReLU, or the paper's maxout")
    input_dropout: float = option(0.0, "fraction of D's input pixels dropped", ge=0, lt=1)
    dropout: float = option(0.0, "fraction of D's hidden units dropped", ge=0, lt=1)
    loss: Loss = adversarial_loss()
    r1: float = r1_weight(1.0)
    r2: float = r2_weight()
    gp: float = gp_weight()
    optimizer: UpdateRule = update_rule()
    lr: float = learning_rate()
    d_lr: float | None = d_learning_rate()
    d_steps: int = d_steps()
    lr_decay: float = final_decay(0.0, only_with="optimizer=adam")
    lr_schedule: DecayShape = decay_shape(only_with="optimizer=adam")
    warmup: int = warmup_steps(only_with="optimizer=adam")
    beta1: float = adam_beta1(only_with="optimizer=adam")

    def check(self) -> None:
        check_schedule(self.lr_decay, self.lr_schedule)

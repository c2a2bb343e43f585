"""The contract between models and the engine: a variant says what to minimise, and the engine minimises it.

`Variant.step` is a Python generator of `Update`s that reads like the training algorithm of a paper. The engine runs the
code up to each `yield` under autocast, minimises the loss of the update over the network that it names, and then
continues the step. A step can therefore use the same `fake` images for several networks, and does not deal with
precision, optimizers, processes or CUDA graphs. Logits that were computed before an update of their network cannot be
used after it: `backward` raises an error.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gancli.spec import Batch, ImageSpec

CONTRACT = 1
"""The version of the contract between variants and gan. It changes if a variant that worked no longer would."""

ConditionType = Literal["labels", "low_res"]
Noise = Literal["normal", "uniform", "unit-uniform"]


class Update(NamedTuple):
    """One update of one network within a step.

    `trains`: the network, a key of the phase's `optimizers`. `loss`: a scalar to minimise. `terms`: scalars to report by
    name; their gradients are not used.
    """

    trains: str
    loss: Tensor
    terms: Mapping[str, Tensor]


Schedule = Callable[[int], float]
"""Returns a factor or value for the number of updates of a network done in the phase. A pure function: a resume needs no
state."""


@runtime_checkable
class LearningRateOptions(Protocol):
    """The options of a variant's `Config` that `learning_rate_schedule` reads (`config.shared_options`)."""

    @property
    def lr_decay(self) -> float: ...

    @property
    def lr_schedule(self) -> Literal["linear", "cosine"]: ...

    @property
    def warmup(self) -> int: ...


def constant(_: int) -> float:
    """Return 1. A learning rate with this schedule is known not to change, so that many steps can be captured as one."""
    return 1.0


def linear_decay(share: float, updates: int) -> Schedule:
    """Return a factor for the learning rate over `updates` updates: 1, then linearly to 0 over the last `share` of
    them."""
    return (lambda done: min(1.0, (1 - done / updates) / share)) if share else constant


def learning_rate_schedule(config: LearningRateOptions, steps: int, updates_per_step: int = 1) -> Schedule:
    """Return the factor for the learning rate of a network that is updated so many times in each of the `steps` steps of a
    run: that of `--lr-decay` in the shape of `--lr-schedule`, times that of `--warmup`."""
    updates, first = steps * updates_per_step, config.warmup * updates_per_step
    decay = linear_decay(config.lr_decay, updates)
    if config.lr_schedule == "cosine":
        decay = _half_cosine(decay)
    if not first:
        return decay
    return lambda done: decay(done) * min(1.0, (done + 1) / first)


def _half_cosine(linear: Schedule) -> Schedule:
    """Return half a period of a cosine from 1 to 0, where `linear` is a straight line (Loshchilov & Hutter 2017)."""
    return lambda done: (1 - math.cos(math.pi * linear(done))) / 2


@dataclass(frozen=True)
class Adam:
    """Declares Adam (Kingma & Ba 2015) with the learning rate `lr · schedule(updates done)`."""

    lr: float
    beta1: float = 0.9
    beta2: float = 0.999
    schedule: Schedule = constant


@dataclass(frozen=True)
class Sgd:
    """Declares stochastic gradient descent with the learning rate `lr · schedule(updates done)` and the momentum
    `momentum(updates done)`."""

    lr: float
    momentum: Schedule
    schedule: Schedule = constant


Optimizer = Adam | Sgd


@dataclass(frozen=True)
class Phase:
    """A part of a run with its own step and its own optimizers, which start without state.

    `name` is unique in the run, and saved with its state. `steps` may be 0. `step` is a function like `Variant.step`.
    `optimizers` declares the optimizer of each network that the phase trains, by its key in `Variant.networks`; every
    step must update all of them.
    """

    name: str
    steps: int
    step: Callable[[Batch], Iterator[Update]]
    optimizers: Mapping[str, Optimizer]


def sample_noise(noise: Noise, shape: tuple[int, ...], device: torch.device, rng: torch.Generator | None) -> Tensor:
    """Return float32 noise: `normal` N(0, 1), `uniform` U(-1, 1), or `unit-uniform` U(-√3, √3), which has variance 1."""
    if noise == "normal":
        return torch.randn(shape, device=device, generator=rng)
    bound = 1.0 if noise == "uniform" else 3.0**0.5
    return torch.empty(shape, device=device).uniform_(-bound, bound, generator=rng)


class _SkipInitialValues(TorchFunctionMode):
    """Skips functions that compute initial values of weights and of spectral norms. On the meta device they would have no
    effect, but import Dynamo (1 s)."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (nn.init.normal_, F.normalize):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


@contextmanager
def on_meta_device() -> Iterator[None]:
    """Build networks on the meta device: with shapes and dtypes, but without memory and values."""
    with torch.device("meta"), _SkipInitialValues():
        yield


class Variant(ABC):
    """A model: its networks, its losses and how they are trained.

    A subclass must set `networks`, `generator` and `latent_shapes` in `__init__`, and define `step` and `optimizers`.
    It may set the other attributes, and override the other methods, of which each documents its default. Its module
    defines one subclass of `Variant`, and a `Config` or imports it from `NAME_config.py` (see `catalogue`).

    Tensors, here and in `Batch`: images are float `[B, C, size, size]` in [-1, 1], with the channels and size of
    `self.images`. A `condition` is of the variant's `condition_type`: int64 labels `[B]` from 0 to `num_classes - 1`
    (all 0 if the dataset has no classes), or low-resolution images, float `[B, C, size/scale, size/scale]` in [-1, 1].
    When sampling, low-resolution images may have any height and width.
    """

    contract: ClassVar[int] = CONTRACT
    """The version of the contract that the variant was written for. A variant may state it: `contract = 1`."""

    condition_type: ClassVar[ConditionType] = "labels"
    """The kind of `condition`: "labels", or "low_res" for super-resolution, which trains on random crops of
    photographs."""

    convolutional: ClassVar[bool] = True
    """Whether most work is convolutions: images and weights are then channels-last; also affects the default precision,
    the number of CPU threads and how steps are captured."""

    networks: Mapping[str, nn.Module]
    """All networks that are trained, by name, such as {"G": …, "D": …}."""

    generator: nn.Module
    """The module that is averaged, sampled and exported. It consists of the networks, or of modules that are in them.
    It is called as `generator(*latents)`, or, if `conditional` or by low-resolution images, `generator(*latents,
    condition)`, and returns images; values outside [-1, 1] are clipped."""

    latent_shapes: tuple[tuple[int, ...], ...]
    """The shape of each noise tensor of one image; `((100,),)` stands for one float `[B, 100]`. May be empty."""

    noise: Noise = "normal"
    """The distribution of the noise."""

    scale: int = 1
    """With `reads = "low_res"`: how many times larger images are than low-resolution images, 2, 4 or 8."""

    def __init__(self, config: Any, images: ImageSpec) -> None:
        """Build the networks. `config` is the variant's `Config`, `images` has the channels, size and class names.

        Weights are random, drawn from torch's default generator. No values may be read: networks are also built on the
        meta device. Raises `UsageError` if an option does not suit the images, such as their size.
        """
        self.config = config
        self.images = images

    @abstractmethod
    def step(self, batch: Batch) -> Iterator[Update]:
        """Yield the updates of one training step on a batch.

        Every step of a phase yields updates of the same networks in the same order, with the same terms. A term whose
        name starts with `d_loss` is taken for a cross-entropy: near 0, the user is warned that D is never wrong.

        A step may be captured and replayed, so it must not depend on the values of tensors (no `.item()`, no `if`). It
        draws random numbers with `torch.rand`, `randn`, `randint`, `rand_like`, `randn_like`, dropout, or `uniform_`,
        `normal_`, `bernoulli_`, `exponential_` or `random_` in place, on the device of the batch, with B as the first
        dimension: if several processes share a batch, they share the numbers drawn for it.
        """

    @abstractmethod
    def optimizers(self, steps: int) -> Mapping[str, Optimizer]:
        """Return the optimizer of each network that `step` trains, by its key in `networks`, for a run of `steps`
        steps."""

    def phases(self, steps: int) -> tuple[Phase, ...]:
        """Return the phases of a run of `steps` steps, whose steps add up to `steps`. Default: one, with `step` and
        `optimizers`."""
        return (Phase("train", steps, self.step, self.optimizers(steps)),)

    @classmethod
    def resolve_defaults(cls, config: Any, steps: int, num_images: int) -> Any:  # noqa: ARG003
        """Return `config` with the options resolved that depend on the run's number of steps and of images. The result is
        saved with the state, and a resumed run keeps it. Default: `config`."""
        return config

    def fit_to_images(self, images: Tensor) -> None:  # noqa: B027
        """Compute from training images what networks hold in buffers, such as clusters; called once, before the first step
        of a new run, under `torch.no_grad`. `images`: some thousands of those to train on, uint8 `[N, C, size, size]` on the
        CPU, mirrored as in training. Default: nothing."""

    def prepare(self, device: torch.device) -> tuple[str, ...]:  # noqa: ARG002
        """Load what only training needs, such as pretrained weights for a loss, to `device`; called once before the
        first step. Returns messages for the user: warnings, or `gancli.text.Note`s. Raises `GancliError` if something
        is missing. Default: nothing."""
        return ()

    @classmethod
    def num_parts(cls, config: Any, batch_size: int) -> int:  # noqa: ARG003
        """Return how many equal parts `step` splits a batch into, each for updates of its own. Processes that share a
        batch must be able to split their shares into as many. Default: 1."""
        return 1

    @property
    def conditional(self) -> bool:
        """Whether the generator takes a label, so that `gan sample --label` works. Default: False."""
        return False

    def sample_latents(
        self, count: int, device: torch.device, rng: torch.Generator | None = None
    ) -> tuple[Tensor, ...]:
        """Return noise for `count` images: one float `[count, *shape]` for each of `latent_shapes`. `rng`: random
        generator on `device`; None: torch's default one."""
        return tuple(sample_noise(self.noise, (count, *shape), device, rng) for shape in self.latent_shapes)

    def sample_inputs(self, condition: Tensor, rng: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """Return arguments for the generator with new noise: `arguments(latents, condition)`, on the device of
        `condition`."""
        return self.generator_inputs(self.sample_latents(len(condition), condition.device, rng), condition)

    def generator_inputs(self, latents: tuple[Tensor, ...], condition: Tensor) -> tuple[Tensor, ...]:
        """Return the generator's arguments for given noise. Default: the latents, and the condition if `conditional`."""
        return (*latents, condition) if self.conditional else latents

    @property
    def num_levels(self) -> int:
        """The number of images, coarse to fine, that the generator makes one after the other. Default: 1."""
        return 1

    def level_images(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """Return the image of each level, coarse to fine, float `[B, C, h, w]`, for the generator's arguments. The last
        one is the generator's. Default: that one."""
        return (self.generator(*arguments),)

    def d_logits(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return D's logits of images without augmentation, float `[B, 1]`; with several Ds, their sum. Optional: if
        defined, `--held-out` images can be used to detect overfitting of D."""
        raise NotImplementedError

    @classmethod
    def has_d_logits(cls) -> bool:
        """Return whether the variant defines `d_logits`."""
        return cls.d_logits is not Variant.d_logits

    @property
    def receptive_radius(self) -> int:
        """The distance, in pixels of the low-resolution image, from which a pixel can influence the generator's output
        (half the receptive field). Required with `reads = "low_res"`: large images are enlarged in tiles that overlap
        by it."""
        raise NotImplementedError

"""The one contract between models and machinery: a variant says what to minimise, the engine minimises it.

`Variant.step` is a generator of `Update`s that reads like the paper's Algorithm 1. The engine takes the next update under
autocast, minimises its loss over the network it names, and only then lets the step go on; so the step can share `fake`
between networks, and never sees precision, optimizers, ranks or graphs. Logits computed before an update of a network
and used after it raise in `backward`, as they should.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gancli.batches.batch import Batch
from gancli.data.spec import ImageSpec

Reads = Literal["labels", "low_res"]
Noise = Literal["normal", "uniform", "unit-uniform"]


class Update(NamedTuple):
    """One minimisation inside a step."""

    trains: str  # key into Variant.networks
    loss: Tensor  # scalar to minimise
    terms: Mapping[str, Tensor]  # scalars to report


Schedule = Callable[[int], float]
"""A factor or value as a function of the number of updates done in the phase, so that a resume needs no state."""


def constant(_: int) -> float:
    return 1.0


def linear_decay(share: float, updates: int) -> Schedule:
    """A factor of the learning rate in a run of `updates` updates: 1, then linearly to 0 over the last `share` of them."""
    return (lambda done: min(1.0, (1 - done / updates) / share)) if share else constant


@dataclass(frozen=True)
class Adam:
    """Kingma & Ba 2015. `lr` is multiplied by `schedule(updates done)`."""

    lr: float
    beta1: float = 0.9
    beta2: float = 0.999
    schedule: Schedule = constant


@dataclass(frozen=True)
class Sgd:
    """Gradient descent; `lr` is multiplied by `schedule(updates done)`, `momentum(updates done)` is the momentum."""

    lr: float
    momentum: Schedule
    schedule: Schedule = constant


Optimizer = Adam | Sgd


@dataclass(frozen=True)
class Phase:
    """A stretch of a run with its own step and optimizers, which are made anew when it begins.

    `optimizers` names the networks that are trained: each key is one of `Variant.networks`.
    """

    name: str
    steps: int
    step: Callable[[Batch], Iterator[Update]]
    optimizers: Mapping[str, Optimizer]


def draw_noise(noise: Noise, shape: tuple[int, ...], device: torch.device, rng: torch.Generator | None) -> Tensor:
    """float32 noise: `normal` N(0, 1), `uniform` U(-1, 1), `unit-uniform` U(-√3, √3), which has variance 1."""
    if noise == "normal":
        return torch.randn(shape, device=device, generator=rng)
    bound = 1.0 if noise == "uniform" else 3.0**0.5
    return torch.empty(shape, device=device).uniform_(-bound, bound, generator=rng)


class _WithoutValues(TorchFunctionMode):
    """Leaves out what computes initial values (of weights; of spectral norms). On the meta device these functions would do
    nothing, but import Dynamo (1 s)."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (nn.init.normal_, F.normalize):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


@contextmanager
def on_meta() -> Iterator[None]:
    """Networks that are built within it have shapes and dtypes, but no memory and no values."""
    with torch.device("meta"), _WithoutValues():
        yield


class Variant(ABC):
    """A model: its networks, its losses and how they are trained. Subclasses are named after their file.

    It is built from its `Config`, which lies beside it in `NAME_config.py`, a module without torch, or in the same module
    (see `catalogue.py`).
    """

    reads: ClassVar[Reads] = "labels"
    convolutional: ClassVar[bool] = True  # decides memory format; threads and precision on a CPU

    networks: Mapping[str, nn.Module]  # what is trained: {"G": …, "D": …}
    generator: nn.Module  # what is averaged, sampled and exported; called as generator(*latents[, condition])
    latent_shapes: tuple[tuple[int, ...], ...]  # the noise of one picture: one tensor each
    noise: Noise = "normal"
    scale: int = 1  # how many times larger than the low-resolution picture it reads, for a variant that reads one

    def __init__(self, config: Any, images: ImageSpec) -> None:
        """Build the networks with random weights from the default generator. Raises `UsageError` where the options
        do not fit the images (a size a pyramid cannot halve, labels that are missing)."""
        self.config = config
        self.images = images

    @classmethod
    def settled(cls, config: Any, steps: int, num_images: int) -> Any:  # noqa: ARG003
        """`config` with what follows from the run's length and its number of pictures worked out. It is kept with the
        state, and a run that is made longer goes on with it."""
        return config

    def prepare(self, device: torch.device) -> tuple[str, ...]:  # noqa: ARG002
        """What training needs beyond data and networks (weights of a fixed network), fetched before the first step and not
        for sampling. Gives what the user should know. Raises `GancliError` where something cannot be had."""
        return ()

    @property
    def reach(self) -> int:
        """For a variant that reads low-resolution pictures: how far, in their pixels, a pixel's influence reaches."""
        raise NotImplementedError

    @property
    def conditional(self) -> bool:
        """Whether the generator's picture depends on a label, so that one can be asked for."""
        return False

    @classmethod
    def parts(cls, config: Any, batch_size: int) -> int:  # noqa: ARG003
        """How many parts a step makes of a batch, each for updates of its own. Where several processes share a batch, their
        shares must fall into as many equal parts."""
        return 1

    def latents(self, count: int, device: torch.device, rng: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """Fresh noise for `count` pictures, float `[count, *shape]` per latent shape.

        `rng` is the source of randomness (None: torch's default generator of that device).
        """
        return tuple(draw_noise(self.noise, (count, *shape), device, rng) for shape in self.latent_shapes)

    def inputs(self, condition: Tensor, rng: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """The generator's arguments for one batch: fresh latents and, for a conditional model, the condition."""
        return self.arguments(self.latents(len(condition), condition.device, rng), condition)

    def arguments(self, latents: tuple[Tensor, ...], condition: Tensor) -> tuple[Tensor, ...]:
        """The generator's arguments made of given latents and `condition` (as in `Batch`)."""
        return (*latents, condition) if self.conditional else latents

    def judged(self, pictures: Tensor, labels: Tensor) -> Tensor:
        """D's logits of whole pictures as they are, float `[B, 1]` (of several Ds, their sum), which tell by heart-learnt
        pictures whether a set is too small. A variant without it is not watched for that."""
        raise NotImplementedError

    @classmethod
    def judges(cls) -> bool:
        """Whether it has `judged`."""
        return cls.judged is not Variant.judged

    @property
    def num_levels(self) -> int:
        """How many pictures, coarse to fine, the generator goes through: 1 unless it works in levels."""
        return 1

    def levels(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """The picture of each level, coarse to fine, float `[B, C, h, w]`; the last is what `generator` gives."""
        return (self.generator(*arguments),)

    @abstractmethod
    def step(self, batch: Batch) -> Iterator[Update]:
        """One training step, as a generator of updates."""

    @abstractmethod
    def optimizers(self, steps: int) -> Mapping[str, Optimizer]:
        """The optimizer of each network in a run (or, with several phases, its last) of `steps` steps."""

    def phases(self, steps: int) -> tuple[Phase, ...]:
        """The phases of a run of `steps` steps; their steps add up to it. One by default."""
        return (Phase("train", steps, self.step, self.optimizers(steps)),)

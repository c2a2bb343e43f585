"""Checks that a variant keeps to the contract of `gancli.variant`, with the line of its code in the message."""

from collections.abc import Callable, Mapping
from types import FrameType, GeneratorType
from typing import Any

import torch
from torch import Tensor, nn

from gancli.catalogue import outside
from gancli.errors import VariantError
from gancli.text import few
from gancli.variant import Adam, Phase, Sgd, Update, Variant


class UntrainedError(Exception):
    """A loss depends on none of the weights of the network that it is to train."""


def untrained(network: str, step: Any) -> VariantError:
    """Return the error for an update whose loss depends on none of the network's weights."""
    return VariantError(
        f"{yielding(step)}: Update({network!r}): its loss does not depend on the weights of {network}, so that it would "
        "never be trained"
    )


def check_built(variant: Variant) -> None:
    """Raise `VariantError` if `__init__` did not set what it must."""
    where = _init(variant)
    for name in ("networks", "generator", "latent_shapes"):
        if not hasattr(variant, name):
            raise VariantError(f"{where}: does not set self.{name}; see `Variant` in gancli.variant")
    networks: Any = variant.networks
    if not isinstance(networks, Mapping) or not networks:
        raise VariantError(f'{where}: self.networks must be a mapping of names to modules, such as {{"G": …, "D": …}}')
    for name, network in networks.items():
        if not isinstance(network, nn.Module) or not any(True for _ in network.parameters()):
            raise VariantError(f"{where}: networks[{name!r}] must be an nn.Module with parameters")
        if not isinstance(name, str) or not outside.NAME.fullmatch(name):
            raise VariantError(f"{where}: networks[{name!r}]: the name must be of letters, digits, - and _")
    if not isinstance(variant.generator, nn.Module):
        raise VariantError(f"{where}: self.generator must be an nn.Module")
    shapes: Any = variant.latent_shapes
    if not isinstance(shapes, tuple) or not all(
        isinstance(shape, tuple) and all(type(size) is int and size > 0 for size in shape) for shape in shapes
    ):
        raise VariantError(f"{where}: self.latent_shapes must be a tuple of shapes, such as ((100,),), not {shapes!r}")
    known = {id(tensor) for network in networks.values() for tensor in network.parameters()}
    if foreign := [name for name, tensor in variant.generator.named_parameters() if id(tensor) not in known]:
        raise VariantError(f"{where}: self.generator has weights that are in none of self.networks: {few(foreign)}")
    buffers = {name for name, _ in variant.generator.named_buffers()} - set(variant.generator.state_dict())
    if buffers:
        raise VariantError(
            f"{where}: self.generator has buffers with persistent=False, which no checkpoint has: {few(sorted(buffers))}"
        )


def _init(variant: Variant) -> str:
    return f"{outside.place_of(type(variant))}: {type(variant).__name__}.__init__"


def check_phases(variant: Variant, phases: tuple[Phase, ...]) -> None:
    """Raise `VariantError` for optimizers that are none, or of unknown networks, and for a network that none trains."""
    trained: set[str] = set()
    for phase in phases:
        where = outside.place_of(type(variant).optimizers)
        rules: Any = phase.optimizers
        if not isinstance(rules, Mapping):
            raise VariantError(
                f'{where}: optimizers: must return a mapping, such as {{"G": Adam(2e-4), "D": Adam(2e-4)}}'
            )
        for name, rule in rules.items():
            if name not in variant.networks:
                raise VariantError(
                    f"{where}: optimizers: {name!r} is none of the networks {few(list(variant.networks))}"
                )
            if not isinstance(rule, Adam | Sgd):
                what = type(rule).__name__
                raise VariantError(f"{where}: optimizers: {name!r} must be a gancli.variant.Adam or Sgd, not {what}")
        trained |= set(rules)
    if idle := [name for name in variant.networks if name not in trained]:
        where = outside.place_of(type(variant).optimizers)
        raise VariantError(f"{where}: optimizers: has none for {few(idle)}, so that it would never be trained")


def check_images(variant: Variant, images: Any) -> None:
    """Raise `VariantError` unless `images` are what the generator must return for any number of images."""
    where, spec = _forward(variant), variant.images
    if not isinstance(images, Tensor):
        raise VariantError(f"{where}: the generator returns a {type(images).__name__}, not a tensor of images")
    expected = (spec.channels, spec.size, spec.size)
    if tuple(images.shape[1:]) != expected or images.dim() != 4:
        shape = ", ".join(map(str, images.shape))
        raise VariantError(f"{where}: the generator returns [{shape}], not images [B, {', '.join(map(str, expected))}]")
    if not images.is_floating_point():
        raise VariantError(f"{where}: the generator returns {images.dtype}, not floating-point images in [-1, 1]")


def check_generator(variant: Variant, device: torch.device) -> None:
    """Raise `VariantError` unless the generator makes two images from noise. Changes neither random states nor buffers."""
    spec, training = variant.images, variant.generator.training
    condition = torch.zeros(2, dtype=torch.long, device=device)
    if variant.condition_type == "low_res":
        side = spec.size // variant.scale
        condition = torch.zeros(2, spec.channels, side, side, device=device)
    variant.generator.eval()
    with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.no_grad():
        images = variant.generator(*variant.sample_inputs(condition))
    variant.generator.train(training)
    check_images(variant, images)


def _forward(variant: Variant) -> str:
    forward = type(variant.generator).forward
    return _init(variant) if forward.__module__.startswith("torch.") else outside.place_of(forward)


def check_update(update: Any, optimizers: Mapping[str, Any], step: Any) -> None:
    """Raise `VariantError`, with the line of its `yield`, for what `step` yields if it is not an update of a network."""
    if not isinstance(update, Update):
        raise VariantError(f"{yielding(step)}: step yields a {type(update).__name__}, not an Update")
    name, loss, terms = update
    if name not in optimizers:
        raise VariantError(
            f"{yielding(step)}: Update({name!r}): no network of this phase's optimizers ({few(list(optimizers))})"
        )
    if not isinstance(loss, Tensor) or loss.dim() or not loss.is_floating_point():
        what = f"a tensor [{', '.join(map(str, loss.shape))}]" if isinstance(loss, Tensor) else type(loss).__name__
        raise VariantError(f"{yielding(step)}: Update({name!r}): its loss is {what}, not a scalar; take its mean()")
    if not loss.requires_grad:
        raise VariantError(
            f"{yielding(step)}: Update({name!r}): its loss does not depend on weights (is it computed under no_grad?)"
        )
    if not isinstance(terms, Mapping):
        raise VariantError(f"{yielding(step)}: Update({name!r}): its terms are a {type(terms).__name__}, not a mapping")
    for term, value in terms.items():
        if not isinstance(value, Tensor) or value.dim() or not isinstance(term, str):
            what = (
                f"a tensor [{', '.join(map(str, value.shape))}]" if isinstance(value, Tensor) else type(value).__name__
            )
            raise VariantError(f"{yielding(step)}: Update({name!r}): its term {term!r} is {what}, not a scalar tensor")


def check_pattern(before: tuple[Any, ...] | None, now: tuple[Any, ...], phase: Phase) -> None:
    """Raise `VariantError` if a step differs from the one before in the networks that it updates, or in its terms. Each is
    `(networks, terms)` in the order of the step."""
    where = outside.place_of(phase.step)
    if before is None:
        if idle := [name for name in phase.optimizers if name not in now[0]]:
            raise VariantError(
                f"{where}: the step yields no Update of {few(idle)}, so that it would never be trained; each step "
                "must update all networks that have an optimizer"
            )
        if not now[1]:
            raise VariantError(f'{where}: the step reports no terms; give an Update some, such as {{"d_loss": loss}}')
    elif before[0] != now[0]:
        raise VariantError(f"{where}: a step updates {', '.join(now[0])}, and the one before {', '.join(before[0])}")
    elif before[1] != now[1]:
        raise VariantError(
            f"{where}: a step reports the terms {', '.join(now[1])}, and the one before {', '.join(before[1])}; all must "
            "report the same"
        )


def reads_value(frame: FrameType) -> VariantError:
    """Return the error for a step that is captured while it reads the value of a tensor, of the frame that does."""
    where = outside.place(frame) or "the step"
    return VariantError(
        f"{where}: reads the value of a tensor (.item(), float(), if), which a captured step cannot; use operations on "
        "tensors, such as torch.where, or try --no-graph"
    )


def yielding(step: Any) -> str:
    """Return the place of the `yield` at which a step's generator waits, such as `mygan.py:42`."""
    while isinstance(getattr(step, "gi_yieldfrom", None), GeneratorType):
        step = step.gi_yieldfrom
    frame = getattr(step, "gi_frame", None)
    if frame is None:
        return outside.place_of(getattr(step, "__qualname__", step))
    return outside.place_at(frame)


def called(step: Callable[..., Any], *arguments: Any) -> Any:
    """Return the generator of a step. Raises `VariantError` if it is none."""
    updates = step(*arguments)
    if not hasattr(updates, "__next__"):
        raise VariantError(
            f"{outside.place_of(step)}: step must be a generator: yield Update(…) in it, and return nothing"
        )
    return updates

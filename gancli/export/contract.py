"""What an exported model promises whoever opens it: names, shapes and ranges of its inputs and its output.

z: float [B, …]            noise; of a model in levels z0 (the finest), z1, …
label: int64 [B]           after them, for a conditional model
low_res: float [B, C, h, w] in [-1, 1]     instead of all that, for one that enlarges
pictures: float [B, C, H, W] in [-1, 1]
"""

import copy
import inspect
import json
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.export import Dim

from gancli.process import __version__
from gancli.store.checkpoint import Model
from gancli.variant import Variant

PICTURES = "pictures"
NUM_EXAMPLES = 3  # pictures that the graph is traced with: 0 and 1 are special to the tracer
HEIGHT, WIDTH = 9, 11  # of such a low-resolution picture

NOISES = {
    "normal": "normal: mean 0, deviation 1",
    "uniform": "uniform in [-1, 1]",
    "unit-uniform": "uniform in [-1.7320508, 1.7320508]",
}


@dataclass(frozen=True)
class Contract:
    """`module`: called with the inputs in the order of `names`, gives the pictures. `examples`: inputs of it. `open_sizes`:
    for each input, which of its dimensions may have any size, and what they are called."""

    module: nn.Module
    names: tuple[str, ...]
    examples: tuple[Tensor, ...]
    open_sizes: tuple[dict[int, str], ...]

    def dynamic_shapes(self) -> tuple[dict[int, Any], ...]:
        """`open_sizes` as `torch.export` takes them."""
        dims = {name: Dim(name) for sizes in self.open_sizes for name in sizes.values()}
        return tuple({at: dims[name] for at, name in sizes.items()} for sizes in self.open_sizes)


class _Pictures(nn.Module):
    """A generator whose pictures are float and end at ±1, also where its own may go a little beyond."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def paint(self, *inputs: Tensor) -> Tensor:
        pictures: Tensor = self.generator(*inputs)
        return pictures.float().clamp(-1.0, 1.0)


def of(variant: Variant) -> Contract:
    """The contract of a variant's generator, of which a copy on the CPU is taken."""
    generator = copy.deepcopy(variant.generator).cpu().to(memory_format=torch.contiguous_format).eval()
    names = input_names(variant)
    return Contract(_named(names)(generator), names, examples(variant, NUM_EXAMPLES), _open_sizes(variant))


def input_names(variant: Variant) -> tuple[str, ...]:
    """What the generator's arguments are called."""
    if variant.condition_type == "low_res":
        return ("low_res",)
    count = len(variant.latent_shapes)
    latents = ("z",) if count == 1 else tuple(f"z{index}" for index in range(count))
    return (*latents, "label") if variant.conditional else latents


def examples(
    variant: Variant, count: int, seed: int = 0, height: int = HEIGHT, width: int = WIDTH
) -> tuple[Tensor, ...]:
    """Inputs of `count` pictures, always the same: noise, labels in turn; or low-resolution pictures of that size."""
    rng = torch.Generator().manual_seed(seed)
    if variant.condition_type == "low_res":
        return (torch.rand(count, variant.images.channels, height, width, generator=rng) * 2 - 1,)
    labels = torch.arange(count) % max(1, variant.images.num_classes)
    return variant.generator_inputs(variant.sample_latents(count, torch.device("cpu"), rng), labels)


def inputs(variant: Variant) -> list[dict[str, object]]:
    """The inputs for a JSON document: name, dtype, and the shape with names for what is open."""
    return [
        {
            "name": name,
            "dtype": str(example.dtype).removeprefix("torch."),
            "shape": [sizes.get(at, size) for at, size in enumerate(example.shape)],
        }
        for name, example, sizes in zip(
            input_names(variant), examples(variant, NUM_EXAMPLES), _open_sizes(variant), strict=True
        )
    ]


def _open_sizes(variant: Variant) -> tuple[dict[int, str], ...]:
    if variant.condition_type == "low_res":
        return ({0: "batch", 2: "height", 3: "width"},)
    return tuple({0: "batch"} for _ in input_names(variant))


def _named(names: tuple[str, ...]) -> type[_Pictures]:
    """`_Pictures` whose `forward` has parameters of these names: by them an exported program is called."""

    def forward(self: _Pictures, *inputs: Tensor) -> Tensor:
        return self.paint(*inputs)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, kind) for name in ("self", *names)]
    forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return cast(type[_Pictures], type("Pictures", (_Pictures,), {"forward": forward}))


def about(model: Model, license_: str | None) -> dict[str, str]:
    """What a file says of the model, as texts; what are several values, in JSON."""
    facts, variant = model.facts, model.variant
    told = {
        "gan_version": __version__,
        "variant": facts.variant,
        "dataset": facts.dataset,
        "step": str(facts.step),
        "weights_sha256": facts.sha256,
        "value_range": "[-1, 1]",
        "channels": str(facts.images.channels),
    }
    if variant.condition_type == "low_res":
        told["scale"] = str(variant.scale)
    else:
        told |= {"size": str(facts.images.size), "noise": NOISES[variant.noise]}
    if variant.conditional:
        told["classes"] = json.dumps(facts.images.class_names, ensure_ascii=True)
    return told | ({"license": license_} if license_ else {})

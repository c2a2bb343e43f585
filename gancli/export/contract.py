"""The inputs and the output of an exported model.

z: float [B, …]            noise; z0 (the finest level), z1, … for a model with several levels
label: int64 [B]           after the noise, for a conditional model
low_res: float [B, C, h, w] in [-1, 1]     instead of both, for a model that enlarges
pictures: float [B, C, H, W] in [-1, 1]    the output
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

OUTPUT = "pictures"
NUM_EXAMPLES = 3  # images that the graph is traced with: 0 and 1 are special to the tracer
HEIGHT, WIDTH = 9, 11  # of a low-resolution example

NOISES = {
    "normal": "normal: mean 0, deviation 1",
    "uniform": "uniform in [-1, 1]",
    "unit-uniform": "uniform in [-1.7320508, 1.7320508]",
}


@dataclass(frozen=True)
class Contract:
    """`module`: maps the inputs, in the order of `names`, to images. `examples`: inputs. `open_sizes`: for each input, the
    names of the dimensions that may have any size."""

    module: nn.Module
    names: tuple[str, ...]
    examples: tuple[Tensor, ...]
    open_sizes: tuple[dict[int, str], ...]

    def dynamic_shapes(self) -> tuple[dict[int, Any], ...]:
        """Return `open_sizes` as `torch.export` takes them."""
        dims = {name: Dim(name) for sizes in self.open_sizes for name in sizes.values()}
        return tuple({at: dims[name] for at, name in sizes.items()} for sizes in self.open_sizes)


def contract_of(variant: Variant) -> Contract:
    """Return the contract of a variant's generator, with a copy of it on the CPU."""
    generator = copy.deepcopy(variant.generator).cpu().to(memory_format=torch.contiguous_format).eval()
    names = input_names(variant)
    return Contract(_with_named_inputs(generator, names), names, examples(variant, NUM_EXAMPLES), _open_sizes(variant))


def input_names(variant: Variant) -> tuple[str, ...]:
    """Return the names of the generator's inputs."""
    if variant.condition_type == "low_res":
        return ("low_res",)
    count = len(variant.latent_shapes)
    latents = ("z",) if count == 1 else tuple(f"z{index}" for index in range(count))
    return (*latents, "label") if variant.conditional else latents


def examples(
    variant: Variant, count: int, seed: int = 0, height: int = HEIGHT, width: int = WIDTH
) -> tuple[Tensor, ...]:
    """Return inputs for `count` images, equal for equal seeds: noise and labels in turn, or low-resolution images of that
    size."""
    rng = torch.Generator().manual_seed(seed)
    if variant.condition_type == "low_res":
        return (torch.rand(count, variant.images.channels, height, width, generator=rng) * 2 - 1,)
    labels = torch.arange(count) % max(1, variant.images.num_classes)
    return variant.generator_inputs(variant.sample_latents(count, torch.device("cpu"), rng), labels)


def inputs(variant: Variant) -> list[dict[str, object]]:
    """Return the inputs for a JSON document: name, dtype, and the shape with names for open sizes."""
    each_input = zip(input_names(variant), examples(variant, NUM_EXAMPLES), _open_sizes(variant), strict=True)
    return [
        {
            "name": name,
            "dtype": str(example.dtype).removeprefix("torch."),
            "shape": [sizes.get(at, size) for at, size in enumerate(example.shape)],
        }
        for name, example, sizes in each_input
    ]


def _open_sizes(variant: Variant) -> tuple[dict[int, str], ...]:
    if variant.condition_type == "low_res":
        return ({0: "batch", 2: "height", 3: "width"},)
    return tuple({0: "batch"} for _ in input_names(variant))


class _Images(nn.Module):
    """A generator whose output is float32 and clamped to [-1, 1], which its own may slightly exceed."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator


def _with_named_inputs(generator: nn.Module, names: tuple[str, ...]) -> nn.Module:
    """Return the generator as a module whose `forward` has parameters of these names, which an exported program keeps."""

    def forward(self: _Images, *inputs: Tensor) -> Tensor:
        images: Tensor = self.generator(*inputs)
        return images.float().clamp(-1.0, 1.0)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, kind) for name in ("self", *names)]
    forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return cast(type[_Images], type("Images", (_Images,), {"forward": forward}))(generator)


def metadata(model: Model, license_: str | None) -> dict[str, str]:
    """Return the metadata of an exported file, as texts; lists in JSON."""
    facts, variant = model.facts, model.variant
    texts = {
        "gan_version": __version__,
        "variant": facts.variant,
        "dataset": facts.dataset,
        "step": str(facts.step),
        "weights_sha256": facts.sha256,
        "value_range": "[-1, 1]",
        "channels": str(facts.images.channels),
    }
    if variant.condition_type == "low_res":
        texts["scale"] = str(variant.scale)
    else:
        texts |= {"size": str(facts.images.size), "noise": NOISES[variant.noise]}
    if variant.conditional:
        texts["classes"] = json.dumps(facts.images.class_names, ensure_ascii=True)
    return texts | ({"license": license_} if license_ else {})

"""Whether a file is sound to the last value, before a long job relies on it."""

from pathlib import Path

import torch

from gancli import catalogue
from gancli.engine import checkpoint
from gancli.engine.facts import Facts
from gancli.engine.header import Header
from gancli.errors import CheckpointError


def verify(path: Path, header: Header, facts: Facts) -> None:
    """Raises `CheckpointError`, one line, unless the checksum fits, every value is finite, and names and shapes are those of
    the model that the file describes (of a state: all of its networks and its average)."""
    with torch.device("meta"):
        variant = catalogue.load(facts.variant)(facts.config, facts.images)
    generator = variant.generator.state_dict()
    if facts.kind == "model":
        checkpoint.match_tensors(path, header, {checkpoint.GENERATOR + name: t for name, t in generator.items()})
    else:
        networks = {f"network.{name}": network.state_dict() for name, network in variant.networks.items()}
        expected = {
            f"{group}/{name}": tensor
            for group, tensors in {**networks, "average": generator}.items()
            for name, tensor in tensors.items()
        }
        held = {name: info for name, info in header.tensors.items() if name.startswith(("network.", "average/"))}
        checkpoint.match_tensors(path, Header(held, header.metadata, header.data_start, header.file_bytes), expected)
    for name, tensor in checkpoint.read_tensors(path, header, facts).items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise CheckpointError(f"{path}: tensor {name} holds NaN or infinity")

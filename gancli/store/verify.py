"""Whether a file is sound to the last value, before a long job relies on it."""

import dataclasses
from pathlib import Path

from gancli import catalogue
from gancli.store import checkpoint, state
from gancli.store.facts import Facts
from gancli.store.header import Header
from gancli.variant import on_meta


def verify(path: Path, header: Header, facts: Facts) -> None:
    """Raises `CheckpointError`, one line, unless the checksum fits, every value is finite, and names and shapes are those of
    the model that the file describes (of a state: all of its networks and its average)."""
    if facts.kind == "model":
        checkpoint.load_model(path)
        return
    variant_class = catalogue.load(facts.variant)
    with on_meta():
        variant = variant_class(facts.config, facts.images)
    networks = {f"network.{name}": network.state_dict() for name, network in variant.networks.items()}
    held = {name: info for name, info in header.tensors.items() if name.startswith(("network.", "average/"))}
    expected = state.flat({**networks, "average": variant.generator.state_dict()})
    checkpoint.match_tensors(path, dataclasses.replace(header, tensors=held), facts, expected)
    checkpoint.check_finite(path, checkpoint.read_tensors(path, header, facts))

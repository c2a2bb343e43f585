"""`state/step-….safetensors`: everything a run needs to go on exactly where it stopped. No pickle: tensors and JSON."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gancli.errors import CheckpointError, few
from gancli.store import checkpoint
from gancli.store.facts import Facts, from_header
from gancli.store.header import read_header
from gancli.store.rundir import RunDirectory

Tree = Mapping[str, Mapping[str, Tensor]]


@dataclass(frozen=True)
class State:
    """A training state as read from a file: tensors by name, in groups such as `network.G` and `optimizer.D`."""

    path: Path
    facts: Facts
    tensors: Mapping[str, Tensor]

    def group(self, name: str) -> dict[str, Tensor]:
        """The tensors of one group, by their names within it; empty if there are none."""
        prefix = f"{name}/"
        return {key.removeprefix(prefix): t for key, t in self.tensors.items() if key.startswith(prefix)}


def flat(groups: Tree) -> dict[str, Tensor]:
    """The tensors of all groups under the names they have in a file."""
    return {f"{group}/{name}": tensor for group, tensors in groups.items() for name, tensor in tensors.items()}


def load(path: Path) -> State:
    """Read a training state. Raises `CheckpointError`, one line, if the file is not a sound one."""
    header = read_header(path)
    facts = from_header(path, header)
    if facts.kind != "state":
        raise CheckpointError(f"{path}: a model to sample from, not a training state; resume from its run directory")
    return State(path, facts, checkpoint.read_tensors(path, header, facts))


def load_newest(directory: RunDirectory) -> tuple[State, list[str]]:
    """The newest state that verifies, and a word about each newer one that did not. Raises `CheckpointError`."""
    skipped: list[str] = []
    for path in directory.states():
        try:
            return load(path), skipped
        except CheckpointError as error:
            skipped.append(f"{error}; skipped")
    reason = f"; {skipped[0]}" if skipped else ""
    raise CheckpointError(f"{directory.path}: holds no state to resume from{reason}")


def copy_into(saved: State, group: str, target: Mapping[str, Tensor]) -> None:
    """Copy a group of saved tensors into live ones of the same names, shapes and dtypes. Raises `CheckpointError` if they
    differ."""
    tensors = saved.group(group)
    if odd := sorted(set(target) ^ set(tensors)):
        raise checkpoint.another_version(saved.path, saved.facts, f"{group}: its tensors differ by {few(odd)}")
    with torch.no_grad():
        for name, live in target.items():
            if live.shape != tensors[name].shape or live.dtype != tensors[name].dtype:
                why = f"{group}: its tensor {name} has another shape or dtype"
                raise checkpoint.another_version(saved.path, saved.facts, why)
            live.copy_(tensors[name])


def random_states(device: torch.device) -> dict[str, Tensor]:
    """The states of torch's default generators, as tensors."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_random_states(path: Path, states: Mapping[str, Tensor], device: torch.device) -> Iterator[str]:
    """Set torch's default generators; yields a word of warning for what could not be taken up."""
    try:
        torch.set_rng_state(states["cpu"])
        if device.type == "cuda" and "cuda" in states:
            torch.cuda.set_rng_state(states["cuda"], device)
    except (KeyError, RuntimeError, TypeError) as error:
        raise CheckpointError(f"{path}: its random states cannot be used ({error})") from None
    if device.type == "cuda" and "cuda" not in states:
        yield "the run was started on another kind of device: it goes on, but not bit for bit"

"""Another model's weights, for a run to start from: all networks of a training state, or the generator of a checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from gancli.store import checkpoint, state
from gancli.store.facts import Facts, from_header
from gancli.store.header import read_header
from gancli.store.rundir import RunDirectory, weights_file

NETWORK = "network."


@dataclass(frozen=True)
class Weights:
    """Tensors by the name they have in their network. `networks`: by the network's name; empty where there is only the
    averaged `generator`, which is empty where there are networks."""

    path: Path
    facts: Facts
    networks: Mapping[str, Mapping[str, Tensor]]
    generator: Mapping[str, Tensor]


def load(path: Path) -> tuple[Weights, list[str]]:
    """The weights in a state, in a checkpoint or in a run directory (of its newest sound state, else of its checkpoint), and
    a word about each newer state that is not sound. Raises `CheckpointError` for a file that is none, and `UsageError`."""
    file = weights_file(path)
    if path.is_dir() and file.parent.name == "state":
        saved, skipped = state.load_newest(RunDirectory(path))
        return _of_state(saved), skipped
    return _of_file(file), []


def _of_file(path: Path) -> Weights:
    if from_header(path, read_header(path)).kind == "state":
        return _of_state(state.load(path))
    model = checkpoint.load_model(path)
    return Weights(path, model.facts, {}, model.variant.generator.state_dict())


def _of_state(saved: state.State) -> Weights:
    names = {name.partition("/")[0] for name in saved.tensors if name.startswith(NETWORK)}
    networks = {name.removeprefix(NETWORK): saved.group(name) for name in sorted(names)}
    checkpoint.check_finite(saved.path, state.flat(networks))
    return Weights(saved.path, saved.facts, networks, {})

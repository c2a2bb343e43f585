"""`state/step-….safetensors`: everything a run needs to resume exactly where it stopped. No pickle: tensors and JSON."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gancli import events
from gancli.errors import CheckpointError
from gancli.store import checkpoint
from gancli.store.checkpoint import NETWORK
from gancli.store.facts import Facts, from_header
from gancli.store.header import Header, read_header
from gancli.store.run_directory import RunDirectory, weights_file
from gancli.text import few

Tree = Mapping[str, Mapping[str, Tensor]]
Job = Callable[[], list[events.Event]]


@dataclass(frozen=True)
class State:
    """A training state as read from a file: tensors by name, in groups such as `network.G` and `optimizer.D`."""

    path: Path
    facts: Facts
    tensors: Mapping[str, Tensor]

    def group(self, name: str) -> dict[str, Tensor]:
        """Return the tensors of one group, by their names within it; empty if there are none."""
        prefix = f"{name}/"
        return {key.removeprefix(prefix): t for key, t in self.tensors.items() if key.startswith(prefix)}


@dataclass(frozen=True)
class Weights:
    """Another model's weights for a run to start from, by their names in a network: all `networks` of a training state, by
    name, or the averaged `generator` of a checkpoint, with the other `networks` that the file has. `generator` is empty for
    a state."""

    path: Path
    facts: Facts
    networks: Tree
    generator: Mapping[str, Tensor]


def flatten(groups: Tree) -> dict[str, Tensor]:
    """Return the tensors of all groups by their names in a file."""
    return {f"{group}/{name}": tensor for group, tensors in groups.items() for name, tensor in tensors.items()}


def load(path: Path) -> State:
    """Read a training state. Raises `CheckpointError`, one line, if the file is not a valid one."""
    header = read_header(path)
    facts = from_header(path, header)
    if facts.kind != "state":
        raise CheckpointError(f"{path}: a model to sample from, not a training state; resume from its run directory")
    facts = checkpoint.with_code(path, facts)
    return State(path, facts, checkpoint.read_tensors(path, header, facts))


def load_newest(directory: RunDirectory) -> tuple[State, list[str]]:
    """Return the newest valid state, and a warning for each newer one that is not. Raises `CheckpointError`."""
    skipped: list[str] = []
    for path in directory.states():
        try:
            return load(path), skipped
        except CheckpointError as error:
            skipped.append(f"{error}; skipped")
    reason = f"; {skipped[0]}" if skipped else ""
    raise CheckpointError(f"{directory.path}: contains no state to resume from{reason}")


def load_weights(path: Path) -> tuple[Weights, list[str]]:
    """Return the weights in a state, a checkpoint or a run directory (its newest valid state, else its checkpoint), and a
    warning for each newer state that is not valid. Raises `CheckpointError` and `UsageError`."""
    file = weights_file(path)
    if path.is_dir() and file.parent.name == "state":
        saved, skipped = load_newest(RunDirectory(path))
    elif from_header(file, read_header(file)).kind == "state":
        saved, skipped = load(file), []
    else:
        facts, generator, others = checkpoint.load_networks(file)
        return Weights(file, facts, others, generator), []
    names = {name.partition("/")[0] for name in saved.tensors if name.startswith(NETWORK)}
    networks = {name.removeprefix(NETWORK): saved.group(name) for name in sorted(names)}
    checkpoint.check_finite(saved.path, flatten(networks))
    return Weights(saved.path, saved.facts, networks, {}), skipped


def verify(path: Path, header: Header, facts: Facts) -> None:
    """Raise `CheckpointError`, one line, unless the checksum matches, every value is finite, and names and shapes are those
    of the model that the file describes (for a state: of all networks and of the average)."""
    if facts.kind == "model":
        checkpoint.load_model(path)
        return
    variant = checkpoint.build_on_meta(checkpoint.with_code(path, facts))
    networks = {NETWORK + name: network.state_dict() for name, network in variant.networks.items()}
    stored = {name: info for name, info in header.tensors.items() if name.startswith((NETWORK, "average/"))}
    expected = flatten({**networks, "average": variant.generator.state_dict()})
    checkpoint.match_tensors(path, dataclasses.replace(header, tensors=stored), facts, expected)
    checkpoint.check_finite(path, checkpoint.read_tensors(path, header, facts))


def copy_into(saved: State, group: str, target: Mapping[str, Tensor]) -> None:
    """Copy a group of saved tensors into live ones. Raises `CheckpointError` if names, shapes or dtypes differ."""
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
    """Return the states of torch's default generators, as tensors."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_random_states(path: Path, states: Mapping[str, Tensor], device: torch.device) -> Iterator[str]:
    """Set torch's default generators; yields a warning if that is not possible on this device. Raises `CheckpointError`."""
    try:
        torch.set_rng_state(states["cpu"])
        if device.type == "cuda" and "cuda" in states:
            torch.cuda.set_rng_state(states["cuda"], device)
    except (KeyError, RuntimeError, TypeError) as error:
        raise CheckpointError(f"{path}: its random states cannot be used ({error})") from None
    if device.type == "cuda" and "cuda" not in states:
        yield "the run was started on another kind of device: it resumes, but not bit for bit"


class Snapshot:
    """A copy of tensors, on their own device. Another thread may call `on_host` while that device computes."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        self._device = next((t.device for t in self._tensors.values() if t.device.type == "cuda"), None)
        self._copied: torch.cuda.Event | None = None
        if self._device is not None:
            self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._copied.record(torch.cuda.current_stream(self._device))

    def on_host(self) -> dict[str, Tensor]:
        if self._copied is None:
            return {name: tensor.cpu() for name, tensor in self._tensors.items()}
        stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        stream.wait_event(self._copied)
        with torch.cuda.stream(stream):
            return {name: tensor.cpu() for name, tensor in self._tensors.items()}


class Writer:
    """Runs jobs in a thread, one at a time, while training continues. A job returns events; an error of a job is raised by
    the method that waits for it."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "writer")
        self._job: Future[list[events.Event]] | None = None

    def start(self, job: Job) -> None:
        """Start a job. The one before must have been waited for."""
        assert self._job is None
        self._job = self._pool.submit(job)

    def done(self) -> list[events.Event]:
        """Return the events of the job if it has ended."""
        return self.wait() if self._job is not None and not self.busy else []

    def wait(self) -> list[events.Event]:
        """Wait for the job and return its events."""
        if self._job is None:
            return []
        job, self._job = self._job, None
        return job.result()

    @property
    def busy(self) -> bool:
        """Whether a job is running."""
        return self._job is not None and not self._job.done()

    def flush(self) -> None:
        """Wait for the job, whose events (or error) still come later."""
        if self._job is not None:
            wait([self._job])

    def close(self) -> None:
        """Wait for the job and drop its outcome."""
        self._pool.shutdown()

"""`ckpt.safetensors`: the model to sample from, small enough to share. Written atomically; loading trusts nothing."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from gancli import catalogue
from gancli.errors import CheckpointError, UsageError, few, os_problem, shell_quoted
from gancli.files import atomic
from gancli.store.facts import Facts, from_header, to_metadata
from gancli.store.header import Header, read_header
from gancli.variant import Variant, on_meta

GENERATOR = "generator."
NUM_DTYPES = {"F32": torch.float32, "F64": torch.float64, "F16": torch.float16, "BF16": torch.bfloat16,
              "I64": torch.int64, "I32": torch.int32, "U8": torch.uint8, "BOOL": torch.bool}  # fmt: skip


@dataclass(frozen=True)
class Model:
    """A loaded model: `variant.generator` has the checkpoint's weights, in fp32, in eval mode, on the CPU. It pickles as its
    facts and weights."""

    variant: Variant
    facts: Facts

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuilt, (self.facts, dict(self.variant.generator.state_dict()))


def _rebuilt(facts: Facts, weights: Mapping[str, Tensor]) -> Model:
    return _with_weights(_without_weights(facts), facts, weights)


def _without_weights(facts: Facts) -> Variant:
    variant_class = catalogue.load(facts.variant)  # outside: what modules make when they are imported must have data
    with on_meta():
        return variant_class(facts.config, facts.images)


def _with_weights(variant: Variant, facts: Facts, weights: Mapping[str, Tensor]) -> Model:
    variant.generator.load_state_dict(weights, assign=True)
    assert not any(b.is_meta for b in variant.generator.buffers()), "a generator must not have non-persistent buffers"
    variant.generator.eval().requires_grad_(False)
    return Model(variant, facts)


def save(path: Path, tensors: Mapping[str, Tensor], facts: Facts) -> None:
    """Write tensors and facts as one safetensors file, atomically; equal contents give equal bytes.

    The tensors may lie anywhere and in any memory format; they are stored contiguous. Raises `GancliError` for what the
    disk refuses.
    """
    raw = safetensors.torch.save({name: t.detach().cpu().contiguous() for name, t in tensors.items()})
    length = int.from_bytes(raw[:8], "little")
    header, data = json.loads(raw[8 : 8 + length]), memoryview(raw)[8 + length :]
    # safetensors orders several metadata keys at random (safetensors#584), so the header is written by us, sorted.
    signed = dataclasses.replace(facts, sha256=hashlib.sha256(data).hexdigest())
    text = json.dumps({"__metadata__": to_metadata(signed), **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    atomic.write(path, [len(text).to_bytes(8, "little"), text, data])


def read_tensors(path: Path, header: Header, facts: Facts) -> dict[str, Tensor]:
    """All tensors of a file whose header is known to be sound. Raises `CheckpointError` if its bytes changed.

    Reads bytes rather than mapping them: a map over a network file system can kill the process.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CheckpointError(os_problem(path, "read", error)) from error
    if (
        len(raw) != header.file_bytes
        or hashlib.sha256(memoryview(raw)[header.data_start :]).hexdigest() != facts.sha256
    ):
        raise CheckpointError(f"{path}: damaged: its contents do not match their checksum")
    try:
        return safetensors.torch.load(raw)
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{path}: cannot be read ({error})") from None


def load_model(path: Path) -> Model:
    """The model in a `ckpt.safetensors`. Raises `CheckpointError`, one line, for any file that is not a sound one.

    Names, shapes and dtypes are matched against the model built on the meta device before anything is allocated.
    """
    header = read_header(path)
    facts = from_header(path, header)
    if facts.kind != "model":
        raise CheckpointError(f"{path}: a training state, not a model; sample from the run's ckpt.safetensors")
    variant = _without_weights(facts)
    expected = {GENERATOR + name: t for name, t in variant.generator.state_dict().items()}
    match_tensors(path, header, facts, _as_stored(header, expected))
    weights = read_tensors(path, header, facts)
    check_finite(path, weights)
    weights = {name: t.float() if t.dtype == torch.float16 else t for name, t in weights.items()}
    return _with_weights(variant, facts, {n.removeprefix(GENERATOR): t for n, t in weights.items()})


def halved(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Matrices and kernels in half precision, each value rounded to the nearest, for a model that is handed on; the rest
    (biases, statistics of norms) as it is: it is small, and its range is wide. Reading makes them fp32 again.

    Raises `UsageError` for a weight that is beyond what half precision holds.
    """
    found = {}
    for name, tensor in tensors.items():
        found[name] = tensor.half() if tensor.dtype == torch.float32 and tensor.ndim > 1 else tensor
        if not torch.isfinite(found[name]).all():
            raise UsageError(f"tensor {name} holds what is no number in half precision")
    return found


def check_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Raises `CheckpointError` naming the first tensor of a file that holds NaN or infinity."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise CheckpointError(f"{path}: tensor {name} holds NaN or infinity")


def _as_stored(header: Header, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The expected tensors (on the meta device), fp32 in half precision where a file has them so."""
    halves = {name for name, info in header.tensors.items() if info.dtype == "F16"}
    return {n: t.half() if n in halves and t.dtype == torch.float32 else t for n, t in expected.items()}


def match_tensors(path: Path, header: Header, facts: Facts, expected: Mapping[str, Tensor]) -> None:
    """Check that a file holds exactly the `expected` tensors, by name, shape and dtype. Raises `CheckpointError`."""
    if odd := sorted(set(header.tensors) ^ set(expected)):
        raise another_version(path, facts, f"its tensors differ by {few(odd)}")
    for name, tensor in expected.items():
        info = header.tensors[name]
        if info.shape != tuple(tensor.shape) or NUM_DTYPES[info.dtype] != tensor.dtype:
            shape = "×".join(map(str, info.shape))
            raise another_version(path, facts, f"its tensor {name} is {info.dtype} {shape}")


def another_version(path: Path, facts: Facts, why: str) -> CheckpointError:
    """The error for a file whose tensors are not those that its variant has here: a sound file of another version of gan."""
    way_out = "train a new model, or use that version"
    if facts.kind == "state":
        way_out = (
            f"start a new run from its weights with --init-from {shell_quoted(str(path))}, or resume with that version"
        )
    return CheckpointError(f"{path}: written by a gan with another {facts.variant} network ({why}); {way_out}")

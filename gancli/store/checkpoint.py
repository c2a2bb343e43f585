"""`ckpt.safetensors`: the model to sample from, small enough to share. Written atomically, and checked when loaded.

A pretrained model's file may also have networks that are not part of the generator (D), for `--init-from`.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from gancli import catalogue
from gancli.catalogue import contract
from gancli.errors import CheckpointError, UsageError, os_problem, shell_quoted
from gancli.files import atomic
from gancli.store.facts import Facts, from_header, read_config, to_metadata
from gancli.store.header import Header, read_header
from gancli.text import few
from gancli.variant import Variant, on_meta_device

GENERATOR, NETWORK = "generator.", "network."
NUM_DTYPES = {"F32": torch.float32, "F64": torch.float64, "F16": torch.float16, "BF16": torch.bfloat16,
              "I64": torch.int64, "I32": torch.int32, "U8": torch.uint8, "BOOL": torch.bool}  # fmt: skip


@dataclass(frozen=True)
class Model:
    """A loaded model: `variant.generator` has the checkpoint's weights, in fp32, in eval mode, on the CPU. Pickled as its
    facts and weights."""

    variant: Variant
    facts: Facts

    def __reduce__(self) -> tuple[object, ...]:
        return _model, (self.facts, dict(self.variant.generator.state_dict()))


def build_on_meta(facts: Facts) -> Variant:
    """Return the variant that a file describes, on the meta device: without weights. Raises `UsageError`, and `VariantError`
    for code from outside that is wrong."""
    variant_class = catalogue.load(facts.variant)  # outside of on_meta: importing its module may create tensors
    with on_meta_device():
        variant = variant_class(facts.config, facts.images)
    contract.check_built(variant)
    return variant


def with_code(path: Path, facts: Facts) -> Facts:
    """Return the facts with the `config` of the variant's class, which is imported if it is installed or was named. Raises
    `CheckpointError` if it is not, or if its options differ from the file's."""
    if catalogue.is_own(facts.variant):
        return facts
    try:
        catalogue.check_name(facts.variant, str(path), facts.origin)
        return dataclasses.replace(facts, config=read_config(facts.variant, dataclasses.asdict(facts.config)))
    except (ValueError, UsageError) as error:
        message = str(error)
        raise CheckpointError(message if message.startswith(str(path)) else f"{path}: {message}") from None


def _model(facts: Facts, weights: Mapping[str, Tensor], variant: Variant | None = None) -> Model:
    variant = variant or build_on_meta(facts)
    variant.generator.load_state_dict(weights, assign=True)
    assert not any(b.is_meta for b in variant.generator.buffers()), "a generator must not have non-persistent buffers"
    variant.generator.eval().requires_grad_(False)
    return Model(variant, facts)


def save(path: Path, tensors: Mapping[str, Tensor], facts: Facts) -> None:
    """Write tensors and facts as one safetensors file, atomically; equal contents give equal bytes.

    The tensors may be on any device and in any memory format; they are stored contiguous. Raises `GancliError`.
    """
    raw = safetensors.torch.save({name: t.detach().cpu().contiguous() for name, t in tensors.items()})
    length = int.from_bytes(raw[:8], "little")
    header, data = json.loads(raw[8 : 8 + length]), memoryview(raw)[8 + length :]
    # safetensors orders metadata keys at random (safetensors#584), so the header is written here, sorted.
    signed = dataclasses.replace(facts, sha256=hashlib.sha256(data).hexdigest())
    text = json.dumps({"__metadata__": to_metadata(signed), **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    atomic.write(path, [len(text).to_bytes(8, "little"), text, data])


def read_tensors(path: Path, header: Header, facts: Facts) -> dict[str, Tensor]:
    """Return all tensors of a file with a valid header. Raises `CheckpointError` if the checksum does not match.

    The file is read, not memory-mapped: a map over a network file system can kill the process.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CheckpointError(os_problem(path, "read", error)) from error
    sha256 = hashlib.sha256(memoryview(raw)[header.data_start :]).hexdigest()
    if len(raw) != header.file_bytes or sha256 != facts.sha256:
        raise CheckpointError(f"{path}: damaged: its contents do not match their checksum")
    try:
        return safetensors.torch.load(raw)
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{path}: cannot be read ({error})") from None


def load_model(path: Path) -> Model:
    """Return the model in a `ckpt.safetensors`. Raises `CheckpointError`, one line, if the file is not a valid one.

    Names, shapes and dtypes are matched against the model on the meta device before anything is allocated.
    """
    variant, facts, tensors = _read(path)
    return _model(facts, _group(tensors, GENERATOR), variant)


def load_networks(path: Path) -> tuple[Facts, dict[str, Tensor], dict[str, dict[str, Tensor]]]:
    """Return the facts of a `ckpt.safetensors`, the weights of its generator, and those of the other networks in it, by
    name. Raises `CheckpointError` as `load_model` does."""
    variant, facts, tensors = _read(path)
    networks = {name: _group(tensors, network_prefix(name)) for name in variant.networks}
    return facts, _group(tensors, GENERATOR), {name: weights for name, weights in networks.items() if weights}


def network_prefix(network: str) -> str:
    """Return how the names of the tensors of a network begin in a file; those of the generator begin with `GENERATOR`."""
    return f"{NETWORK}{network}/"


def _group(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `prefix`, by the rest of their names."""
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def _read(path: Path) -> tuple[Variant, Facts, dict[str, Tensor]]:
    """Return the variant of a `ckpt.safetensors` on the meta device, its facts, and its tensors in fp32."""
    header = read_header(path)
    facts = from_header(path, header)
    if facts.kind != "model":
        raise CheckpointError(f"{path}: a training state, not a model; sample from the run's ckpt.safetensors")
    facts = with_code(path, facts)
    variant = build_on_meta(facts)
    expected = dict(_expected(variant, header))
    for name in expected.keys() & header.tensors.keys():
        if header.tensors[name].dtype == "F16" and expected[name].dtype == torch.float32:
            expected[name] = expected[name].half()
    match_tensors(path, header, facts, expected)
    tensors = read_tensors(path, header, facts)
    check_finite(path, tensors)
    return variant, facts, {name: t.float() if t.dtype == torch.float16 else t for name, t in tensors.items()}


def _expected(variant: Variant, header: Header) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors that a file with this header must have: the generator's, and all of each network that it has a
    tensor of."""
    for name, tensor in variant.generator.state_dict().items():
        yield GENERATOR + name, tensor
    for network, module in variant.networks.items():
        prefix = network_prefix(network)
        if any(name.startswith(prefix) for name in header.tensors):
            for name, tensor in module.state_dict().items():
                yield prefix + name, tensor


def check_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Raise `CheckpointError` that names the first tensor with NaN or infinity."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise CheckpointError(f"{path}: tensor {name} contains NaN or infinity")


def match_tensors(path: Path, header: Header, facts: Facts, expected: Mapping[str, Tensor]) -> None:
    """Raise `CheckpointError` unless a file has exactly the `expected` tensors, by name, shape and dtype."""
    if odd := sorted(set(header.tensors) ^ set(expected)):
        raise another_version(path, facts, f"its tensors differ by {few(odd)}")
    for name, tensor in expected.items():
        info = header.tensors[name]
        if info.shape != tuple(tensor.shape) or NUM_DTYPES[info.dtype] != tensor.dtype:
            shape = "×".join(map(str, info.shape))
            raise another_version(path, facts, f"its tensor {name} is {info.dtype} {shape}")


def another_version(path: Path, facts: Facts, why: str) -> CheckpointError:
    """Return the error for a valid file of another version of gan, in which the variant has other tensors."""
    way_out = "train a new model, or use that version"
    if facts.kind == "state":
        way_out = (
            f"start a new run from its weights with --init-from {shell_quoted(str(path))}, or resume with that version"
        )
    return CheckpointError(f"{path}: written by a gan with another {facts.variant} network ({why}); {way_out}")

"""Puts a trained model among those that come along, as `gancli/shipped/NAME.safetensors`:

    python -m tests.ship RUN NAME --command "gan train …"

RUN is a run directory, or a ckpt.safetensors, of which the generator is taken; or a state (state/step-….safetensors), of
which the averaged generator and the other networks (D) are taken, so that a run can start from both. The command is the
one that made it, word for word, which the file keeps and which must agree with what the checkpoint says of itself. A run
that was not finished is refused, unless `--stopped` says that this is known; docs/models.md must then say where it stopped.
Matrices and kernels are rounded to half precision (the rest stays as it is), and what that changes of the pictures is
printed. Equal checkpoints and commands give equal bytes.
"""

import argparse
import dataclasses
import itertools
import shlex
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from gancli import images
from gancli.config import RunConfig, fields_of
from gancli.errors import GancliError, UsageError
from gancli.sampling import generate
from gancli.store import checkpoint, pretrained, state
from gancli.store.checkpoint import GENERATOR, NETWORK, Model
from gancli.store.facts import Facts, from_header
from gancli.store.header import read_header
from gancli.store.run_directory import model_file

MOST_BYTES = 8_000_000  # of all models together
COUNT, SIDE = 256, 64  # pictures that are drawn to compare, or pixels of the noise that is enlarged


def ship(source: Path, name: str, command: str, stopped: bool = False) -> Path:
    """Write the model of `source` among those that come along. `stopped`: its run need not be finished. Raises
    `GancliError`."""
    facts, weights = contents(source)
    check_command(facts, command)
    if facts.step < facts.steps and not stopped:
        raise UsageError(f"{source}: of step {facts.step} of {facts.steps}; --stopped, if that is known")
    target = pretrained.pretrained_file(name)
    checkpoint.save(target, halved(weights), dataclasses.replace(facts, command=command))
    return target


def contents(source: Path) -> tuple[Facts, dict[str, Tensor]]:
    """The facts and tensors of a model file, of a model, or of a state: its average, and the networks that are not part of
    the generator. Raises `GancliError`."""
    if from_header(source, read_header(source)).kind == "model":
        model = checkpoint.load_model(source)
        return model.facts, {GENERATOR + name: tensor for name, tensor in model.variant.generator.state_dict().items()}
    saved = state.load(source)
    variant = checkpoint.build_on_meta(saved.facts)
    own = {id(parameter) for parameter in variant.generator.parameters()}
    others = [name for name, net in variant.networks.items() if not own & {id(p) for p in net.parameters()}]
    tensors = {GENERATOR + name: tensor for name, tensor in saved.group("average").items()}
    tensors |= state.flatten({NETWORK + name: saved.group(NETWORK + name) for name in others})
    return dataclasses.replace(saved.facts, kind="model"), tensors


def halved(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return matrices and kernels in half precision, each value rounded to the nearest, and the rest (biases, statistics of
    norms), which is small and has a wide range, unchanged. `checkpoint.load_model` converts them back to fp32.

    Raises `UsageError` for a weight out of range.
    """
    halves = {}
    for name, tensor in tensors.items():
        halves[name] = tensor.half() if tensor.dtype == torch.float32 and tensor.ndim > 1 else tensor
        if not torch.isfinite(halves[name]).all():
            raise UsageError(f"tensor {name} is not finite in half precision")
    return halves


def check_command(facts: Facts, command: str) -> None:
    """Raises `UsageError` unless a command is a `gan train` that `facts` can come from: what it says, and what it leaves out
    of variant, preset, data set and seed, is what they say."""
    words = shlex.split(command)
    epochs = facts.epoch * facts.steps / max(facts.step, 1)  # of the whole run
    had = dataclasses.asdict(facts) | dataclasses.asdict(facts.config) | {"epochs": round(epochs, 6)}
    fields = {f.name: f for f in (*fields_of(RunConfig), *fields_of(type(facts.config))) if f.name in had}
    said = {name: fields[name].default for name in ("variant", "preset", "dataset", "seed")}
    for flag, value in itertools.pairwise(words):
        said |= {name: f.kind(value) for name, f in fields.items() if flag in (f.long, f.option.short)}
    wrong = [f"{fields[name].flag} {value}, not {had[name]}" for name, value in said.items() if value != had[name]]
    wrong += [] if words[:2] == ["gan", "train"] else ["is no gan train"]
    if wrong:
        raise UsageError(f"--command {command}: is not what made it: {'; '.join(wrong)}")


def pictures(model: Model) -> Tensor:
    """What a model makes of fixed seeds, or of a fixed picture: uint8 `[N, C, H, W]`."""
    variant, device = model.variant, torch.device("cpu")
    if variant.condition_type == "labels":
        labels = tuple(range(variant.images.num_classes)) if variant.conditional else (0,)
        return generate.generate_all(variant, variant.generator, generate.requests(COUNT, 0, labels), device)
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, variant.images.channels, SIDE // 4, SIDE // 4, generator=rng) * 2 - 1
    low_res = torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic").clamp(-1, 1)
    with torch.inference_mode():
        return images.to_uint8(variant.generator(low_res))


def differences(one: Tensor, other: Tensor) -> str:
    """How far pictures are apart, in 8-bit values."""
    apart = (one.int() - other.int()).abs()
    return f"at most {int(apart.max())} of 255, {100 * float((apart > 0).float().mean()):.3f} % of the values differ"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.ship", description="Ship a trained model with gan.")
    parser.add_argument("run", type=Path, help="a run directory, its ckpt.safetensors, or a state")
    parser.add_argument("name", help="what it is to be called")
    parser.add_argument("--command", required=True, help="the gan train that made it")
    parser.add_argument("--stopped", action="store_true", help="the run was not finished, and need not be")
    given = parser.parse_args()
    source = model_file(given.run)
    try:
        command = " ".join(given.command.replace("\\\n", " ").split())
        facts, weights = contents(source)
        target = ship(source, given.name, command, given.stopped)
        with tempfile.TemporaryDirectory() as folder:
            checkpoint.save(whole := Path(folder, "whole.safetensors"), weights, facts)
            before, after = (pictures(checkpoint.load_model(path)) for path in (whole, target))
    except GancliError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    every = sum(pretrained.pretrained_file(name).stat().st_size for name in pretrained.pretrained_names())
    print(f"{target}: {target.stat().st_size:,} bytes, of {source.stat().st_size:,} before")  # noqa: T201
    print(f"pictures: {differences(before, after)}")  # noqa: T201
    print(f"all models: {every:,} bytes, of at most {MOST_BYTES:,}")  # noqa: T201
    return int(every > MOST_BYTES)


if __name__ == "__main__":
    sys.exit(main())

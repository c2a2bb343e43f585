"""A model as a folder that model hubs take: weights, configuration, card and a picture of what it makes."""

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePath

import torch
from torch import Tensor

from gancli import images
from gancli.batches.pairs import downsample_bicubic, upsample_bicubic
from gancli.config import fields_of
from gancli.config.sample import SampleConfig
from gancli.data.leaves import draw_leaves
from gancli.errors import CheckpointError, GancliError, os_problem
from gancli.events import Emit, Preparing, ignore
from gancli.export import contract, space
from gancli.export.card import CONFIG, SAMPLES, WEIGHTS, Card
from gancli.files import atomic
from gancli.files.atomic import temp_sibling
from gancli.process import __version__
from gancli.sampling import order
from gancli.store import checkpoint, evaluations
from gancli.store.checkpoint import Model
from gancli.store.evaluations import Evaluation
from gancli.store.header import read_header
from gancli.store.run_directory import RunDirectory
from gancli.store.run_info import RunInfo
from gancli.text import printable

CARD = "README.md"
SIDE, NUM_SHOWN = 96, 4  # of pictures to enlarge, in pixels of the true one
CPU = torch.device("cpu")


def write(
    place: Path, source: Path, model: Model, title: str, license_: str | None, as_space: bool, emit: Emit
) -> list[str]:
    """Make the folder `place`, whole or not at all, of a model that lies in `source`; gives the files. Raises `GancliError`
    for what the disk refuses. `as_space`: with what a Hugging Face Space needs to show the model."""
    emit(Preparing("drawing samples", 0, 0, ""))
    picture, about = samples(model)
    card = Card(title, model, license_, measured(source, model), about, as_space)
    weights = weights_of(source, model)
    contents = {
        WEIGHTS: weights,
        CONFIG: (json.dumps(config(model), indent=2, ensure_ascii=True) + "\n").encode(),
        CARD: card.text().encode(),
        SAMPLES: images.encode(images.to_pil(picture), ".png"),
    } | (space.files(printable(title), WEIGHTS) if as_space else {})
    emit(Preparing(f"writing {place.name}", 0, 0, ""))
    _put(place, contents)
    return [str(place / name) for name in contents]


def _put(place: Path, contents: Mapping[str, bytes]) -> None:
    """Write all files into a folder beside `place`, and give it that name, which nothing has, or an empty folder."""
    part = temp_sibling(place)
    try:
        part.mkdir()
        for name, data in contents.items():
            atomic.write(part / name, [data])
        if place.is_dir():
            place.rmdir()
        part.rename(place)
        atomic.sync_directory(place.parent)
    except OSError as error:
        raise GancliError(os_problem(f"-o {place}", "written", error)) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def weights_of(source: Path, model: Model) -> bytes:
    """The very bytes of the checkpoint: gan reads them as ever, and whoever has safetensors does. Raises `CheckpointError`
    where they are no longer those that were loaded."""
    checkpoint.read_tensors(source, read_header(source), model.facts)
    try:
        return source.read_bytes()
    except OSError as error:
        raise CheckpointError(os_problem(source, "read", error)) from error


def measured(source: Path, model: Model) -> list[Evaluation]:
    """What `gan evaluate` found of these very weights: for each dataset the measurement of the most images."""
    info = RunInfo(RunDirectory(source.parent))
    found = info.evaluations if info.directory.holds_run else []
    if info.problems:
        raise GancliError(info.problems[0])
    kept: dict[tuple[object, object], Evaluation] = {}
    for each in found:
        if each.get("sha256") == model.facts.sha256 and each["figures"]:
            data = (each.get("evaluated_on"), each.get("split"))
            kept[data] = max(kept.get(data, each), each, key=evaluations.informativeness)
    return list(kept.values())


def samples(model: Model) -> tuple[Tensor, str]:
    """A picture of what the model makes, uint8 `[C, H, W]`, and what it shows."""
    if model.variant.condition_type == "low_res":
        about = "Dead leaves that `gan` draws: reduced, enlarged by bicubic interpolation, by this model, and the true ones."
        return _enlarged(model), about
    wanted = order.make(model, SampleConfig(), CPU)
    about = f"Seeds 0 to {len(wanted.wanted) - 1}, none left out"
    about += ", a column for each class in turn." if 1 < len(wanted.class_names) == wanted.columns else "."
    return images.grid(wanted.pixels(ignore), wanted.columns), about


@torch.inference_mode()
def _enlarged(model: Model) -> Tensor:
    """Rows of a picture reduced, enlarged in two ways, and as it was."""
    scale, channels = model.variant.scale, model.variant.images.channels
    pixels, _ = next(draw_leaves(NUM_SHOWN, SIDE, 0))
    truth = images.to_float(pixels)
    truth = truth if channels == 3 else truth.mean(1, keepdim=True)
    low_res = downsample_bicubic(truth, scale)
    blocks = torch.nn.functional.interpolate(low_res, scale_factor=float(scale), mode="nearest")
    columns = [blocks, upsample_bicubic(low_res, scale), model.variant.generator(low_res), truth]
    tiles = torch.stack([images.to_uint8(column) for column in columns], 1)
    return images.grid(tiles.flatten(0, 1), len(columns))


def config(model: Model) -> dict[str, object]:
    """What `config.json` says: how the model is built, and what goes in and comes out."""
    facts, variant = model.facts, model.variant
    options = dataclasses.asdict(facts.config)
    for field in fields_of(type(facts.config)):  # of a file of this machine, its name
        if field.option.path and options[field.name] is not None:
            options[field.name] = PurePath(options[field.name]).name
    found: dict[str, object] = {
        "library_name": "gancli",
        "gan_version": __version__,
        "variant": facts.variant,
        "preset": facts.preset,
        "options": options,
        "images": {"channels": facts.images.channels, "size": facts.images.size},
        "classes": list(facts.images.class_names) if variant.conditional else [],
        "inputs": contract.inputs(variant),
        "output": {"name": contract.PICTURES, "range": [-1, 1]},
        "dataset": facts.dataset,
        "step": facts.step,
        "seed": facts.seed,
        "weights_sha256": facts.sha256,
    }
    return found | ({"scale": variant.scale} if variant.condition_type == "low_res" else {"noise": variant.noise})

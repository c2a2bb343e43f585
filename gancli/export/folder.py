"""A model as a folder for a model hub: weights, configuration, card and an image of samples."""

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
from gancli.process import __version__
from gancli.sampling import plan
from gancli.store import checkpoint, evaluations
from gancli.store.checkpoint import Model
from gancli.store.evaluations import Evaluation
from gancli.store.header import read_header
from gancli.store.run_directory import RunDirectory
from gancli.store.run_info import RunInfo
from gancli.text import printable

CARD = "README.md"
SIDE, NUM_SHOWN = 96, 4  # pixels and number of the images that a model enlarges
CPU = torch.device("cpu")


def write_folder(
    folder: Path, source: Path, model: Model, title: str, license_: str | None, as_space: bool, emit: Emit
) -> list[str]:
    """Write the folder of the model in the file `source`, completely or not at all, and return its files. `as_space`:
    with what a Hugging Face Space needs to show the model. Raises `GancliError`."""
    emit(Preparing("generating samples", 0, 0, ""))
    grid, caption = _samples(model)
    card = Card(title, model, license_, _evaluations(source, model), caption, as_space)
    contents = {
        WEIGHTS: _weights(source, model),
        CONFIG: (json.dumps(_config(model), indent=2, ensure_ascii=True) + "\n").encode(),
        CARD: card.text().encode(),
        SAMPLES: images.encode(images.to_pil(grid), ".png"),
    } | (space.files(printable(title), WEIGHTS) if as_space else {})
    emit(Preparing(f"writing {folder.name}", 0, 0, ""))
    _write_files(folder, contents)
    return [str(folder / name) for name in contents]


def _write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write all files into a temporary folder, and rename it to `folder`, which does not exist or is empty."""
    part = atomic.temp_sibling(folder)
    try:
        part.mkdir()
        for name, data in contents.items():
            atomic.write(part / name, [data])
        if folder.is_dir():
            folder.rmdir()
        part.rename(folder)
        atomic.sync_directory(folder.parent)
    except OSError as error:
        raise GancliError(os_problem(f"-o {folder}", "written", error)) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _weights(source: Path, model: Model) -> bytes:
    """Return the unchanged bytes of the checkpoint. Raises `CheckpointError` if it has changed since it was loaded."""
    checkpoint.read_tensors(source, read_header(source), model.facts)
    try:
        return source.read_bytes()
    except OSError as error:
        raise CheckpointError(os_problem(source, "read", error)) from error


def _evaluations(source: Path, model: Model) -> list[Evaluation]:
    """Return the evaluations of exactly these weights: for each dataset the one of the most images."""
    info = RunInfo(RunDirectory(source.parent))
    found = info.evaluations if info.directory.holds_run else []
    if info.problems:
        raise GancliError(info.problems[0])
    best: dict[tuple[object, object], Evaluation] = {}
    for each in found:
        if each.get("sha256") == model.facts.sha256 and each["figures"]:
            data = (each.get("evaluated_on"), each.get("split"))
            best[data] = max(best.get(data, each), each, key=evaluations.informativeness)
    return list(best.values())


def _samples(model: Model) -> tuple[Tensor, str]:
    """Return a grid of images that the model makes, uint8 `[C, H, W]`, and its caption."""
    if model.variant.condition_type == "low_res":
        caption = "Generated dead leaves: reduced, enlarged by bicubic interpolation, by this model, and the originals."
        return _enlarged(model), caption
    samples = plan.make_plan(model, SampleConfig(), CPU)
    caption = f"Seeds 0 to {len(samples.requests) - 1}, none left out"
    caption += ", a column for each class in turn." if 1 < len(samples.class_names) == samples.columns else "."
    return images.grid(samples.pixels(ignore), samples.columns), caption


@torch.inference_mode()
def _enlarged(model: Model) -> Tensor:
    """Return a grid with a row for each image: reduced, enlarged in two ways, and the original."""
    scale, channels = model.variant.scale, model.variant.images.channels
    pixels, _ = next(draw_leaves(NUM_SHOWN, SIDE, 0))
    truth = images.to_float(pixels)
    truth = truth if channels == 3 else truth.mean(1, keepdim=True)
    low_res = downsample_bicubic(truth, scale)
    blocks = torch.nn.functional.interpolate(low_res, scale_factor=float(scale), mode="nearest")
    columns = [blocks, upsample_bicubic(low_res, scale), model.variant.generator(low_res), truth]
    tiles = torch.stack([images.to_uint8(column) for column in columns], 1)
    return images.grid(tiles.flatten(0, 1), len(columns))


def _config(model: Model) -> dict[str, object]:
    """Return the contents of `config.json`: the architecture, the inputs and the output."""
    facts, variant = model.facts, model.variant
    options = dataclasses.asdict(facts.config)
    for field in fields_of(type(facts.config)):  # paths belong to this machine
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
        "output": {"name": contract.OUTPUT, "range": [-1, 1]},
        "dataset": facts.dataset,
        "step": facts.step,
        "seed": facts.seed,
        "weights_sha256": facts.sha256,
    }
    return found | ({"scale": variant.scale} if variant.condition_type == "low_res" else {"noise": variant.noise})

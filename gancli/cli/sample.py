"""`gan sample`: images from a checkpoint as a grid, a folder, an array, an animation or a pipe; or enlarged images."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli.cli import ckpt, completing, console, options
from gancli.config import fields_of, paths
from gancli.config.option import reject_unused_options
from gancli.config.sample import EnlargeConfig, SampleConfig, sample_config
from gancli.errors import GancliError, PartlyFailedError, UsageError, shell_quoted
from gancli.events import Event
from gancli.store import pretrained
from gancli.store.run_directory import require_model_file
from gancli.text import counted

if TYPE_CHECKING:
    from gancli.metrics.side_by_side import Comparer
    from gancli.sampling.enlarge import Result
    from gancli.sampling.jobs import EnlargePlan
    from gancli.store.checkpoint import Model

QUIET_S = 2.0  # shorter work shows no progress


def _sample(
    checkpoint: str, output: str | None, device: str, as_json: bool, variant: list[str] | None, **values: Any
) -> None:
    paths.check_working_directory()
    ckpt.name_variants(variant)
    for_sampling, for_enlarging = (options.given(config, values) for config in (SampleConfig, EnlargeConfig))
    sampling, enlarging = sample_config(for_sampling), EnlargeConfig(**for_enlarging)
    place, typed = ckpt.resolve(checkpoint), shell_quoted(checkpoint)
    reject_unused_options(("--json", as_json and output == "-"), why="stdout is used for the image; give -o a file")
    if enlarging.input is not None:
        unused = options.flags(SampleConfig, for_sampling)
        reject_unused_options(*unused, why="applies to generating images, and -i enlarges them")
        unused_true = None if enlarging.compare else enlarging.true
        reject_unused_options(("--true", unused_true), why="only applies with --compare")
        _enlarge(place, typed, enlarging, output, device, as_json)
        return
    unused = options.flags(EnlargeConfig, for_enlarging)
    reject_unused_options(*unused, why="only applies to enlarging images; give them with -i")
    unused_size = sampling.walk and for_sampling.get("batch_size")
    reject_unused_options(("--batch-size", unused_size), why="has no effect on --walk, which generates frame by frame")
    _generate(place, typed, sampling, output, device, as_json)


sample = options.with_signature(
    _sample,
    [
        options.argument("checkpoint", str, metavar="CKPT", **ckpt.COMPLETION, help=(
            f"A ckpt.safetensors, a run directory, hf:OWNER/NAME, or {ckpt.PRETRAINED}.")),
        options.plain_option("output", str | None, "-o", "--output", metavar="PATH", show_default="samples.png", help=(
            "Output: .png .jpg .webp for a grid; a directory for one file per image, named by seed; .npz for an array; .gif "
            ".webp .mp4 with --walk for an animation; - for a PNG on stdout. The default with -i is next to the input. An "
            "existing file is replaced if you name it, never if gan does (by default, or in a directory).")),
        options.DEVICE,
        options.annotated("variant", ckpt.Variants),
        options.plain_option("as_json", bool, "--json", default=False, help="Print one JSON document about the files."),
        *(options.parameter(f, completing.label if f.name == "label" else None)
          for config in (SampleConfig, EnlargeConfig) for f in fields_of(config)),
    ],
)  # fmt: skip


def _generate(
    checkpoint: Path, typed: str, config: SampleConfig, output: str | None, device: str, as_json: bool
) -> None:
    from gancli.sampling import files, plan

    if output == "-":
        console.binary_stdout()
        files.check_animation(".png", output, config)
    else:
        path = files.output_path(output, config)
        write = files.writer(path, output, config)
    from gancli.cli.progress import show_progress_of_parts
    from gancli.machine.device import choose_device

    where = choose_device(device)
    model = _model(checkpoint, "labels")
    planned = plan.make_plan(model, config, where, pretrained.model_name(require_model_file(checkpoint)))
    if output == "-":
        with show_progress_of_parts(QUIET_S) as emit:
            encoded = files.encoded_grid(planned, ".png", emit)
        console.write_stdout(encoded)
        return
    with show_progress_of_parts(QUIET_S) as emit:
        written = write(planned, path, emit)
    if as_json:
        facts, count = model.facts, config.count
        console.print_json(
            {"variant": facts.variant, "step": facts.step, "count": count, "seed": config.seed}
            | ({"seeds": config.all_seeds()} if config.seeds else {})
            | {"files": written}
        )
    else:
        console.print_path(path)
        _suggest(f"gan evaluate {typed}" if config.walk else f"gan sample {typed} -n 4 --walk 4 -o walk.gif")


def _suggest(line: str) -> None:
    """Suggest the next command, on a terminal only."""
    if console.takes_codes(sys.stderr):
        console.print_message(f"next: {line}")


def _enlarge(
    checkpoint: Path, typed: str, config: EnlargeConfig, output: str | None, device: str, as_json: bool
) -> None:
    """Enlarge an image, a folder or an archive. `typed`: the checkpoint as typed. Raises `PartlyFailedError` if some of
    several images failed."""
    from gancli.cli.progress import show_progress_of_parts
    from gancli.machine.device import choose_device
    from gancli.sampling import enlarge, jobs

    if output == "-":
        console.binary_stdout()
    model = _model(checkpoint, "low_res")
    where = choose_device(device)
    with show_progress_of_parts(QUIET_S) as emit:
        planned = jobs.plan(config, output, model.variant.scale, emit)
    with contextlib.closing(planned):
        comparer = _comparer(checkpoint, config) if config.compare else None
        upscaler = enlarge.make_upscaler(model.variant, where, config.tile)
        deliver = None if planned.place else console.write_stdout
        make = comparer.make if comparer else None
        with show_progress_of_parts(QUIET_S, lambda event: _print_end(event, alone=planned.alone)) as emit:
            result = enlarge.enlarge_files(upscaler, planned, config.skip_existing, emit, deliver, make)
    if comparer:
        _print_metrics(comparer)
    if result.skipped:
        console.print_message(f"{len(result.skipped)} of {len(planned.jobs)} skipped, as they already exist")
    if as_json:
        header = {"variant": model.facts.variant, "step": model.facts.step, "scale": model.variant.scale}
        files = [
            {"input": str(one.source), "output": str(one.target), "width": one.width, "height": one.height}
            for one in result.done
        ]
        outcome = {"skipped": result.skipped, "files": files, "failed": result.failed}
        console.print_json(header | outcome | (_metrics(comparer) if comparer else {}))
    elif planned.place is not None:
        console.print_path(planned.place)
        if not config.compare and not result.failed:
            _suggest(f"gan sample {typed} -i {shell_quoted(str(config.input))} --compare")
    _raise_failures(result, planned)


def _comparer(checkpoint: Path, config: EnlargeConfig) -> "Comparer":
    from gancli.metrics.side_by_side import Comparer, check_true

    assert config.input is not None
    true = None if config.true is None else paths.expanded(config.true, "--true")
    if true is not None:
        check_true(config, true)
    return Comparer(pretrained.model_name(require_model_file(checkpoint)), paths.expanded(config.input, "-i"), true)


def _print_metrics(comparer: "Comparer") -> None:
    """Print the metrics of each image that has an original, and their mean."""
    for name, found in comparer.measured.items():
        console.print_message(f"{name}: {comparer.describe(found)}")
    if len(comparer.measured) > 1:
        console.print_message(f"mean of {len(comparer.measured)}: {comparer.describe(comparer.means())}")


def _metrics(comparer: "Comparer") -> dict[str, Any]:
    figures = {name: {kind: one._asdict() for kind, one in found.items()} for name, found in comparer.measured.items()}
    means = {kind: one._asdict() for kind, one in comparer.means().items()}
    return {"figures": figures, "mean": means}


def _print_end(event: Event, alone: bool) -> bool:
    """Print the result of an image. Returns whether the event is one."""
    from gancli.sampling.enlarge import ImageDone, ImageFailed

    if isinstance(event, ImageFailed):
        console.print_error(event.message)
    elif isinstance(event, ImageDone):
        size = f"{event.width}×{event.height}"
        if not alone:
            console.print_message(f"{event.number}/{event.count}  {event.target}  {size}  {event.seconds:.1f} s")
    else:
        return False
    return True


def _raise_failures(result: "Result", planned: "EnlargePlan") -> None:
    if result.end is not None:
        raise GancliError(
            f"{result.end}; {len(result.done)} of {len(planned.jobs)} images are done; continue with --skip-existing"
        )
    if result.failed:
        total, first = len(planned.jobs) + len(planned.refused), next(iter(result.failed.values()))
        raise PartlyFailedError(f"{len(result.failed)} of {counted(total, 'image')} failed; the first: {first}")


def _model(checkpoint: Path, condition_type: str) -> "Model":
    """Load the model of a file or run directory. Raises `UsageError` if it enlarges instead of generating, or vice versa."""
    from gancli.store.checkpoint import load_model

    file = require_model_file(checkpoint)
    model = load_model(file)
    ckpt.print_changed(file, model.facts)
    name = model.facts.variant
    if model.variant.condition_type == condition_type:
        return model
    if condition_type == "labels":
        place = pretrained.pretrained_name(checkpoint) or checkpoint
        raise UsageError(f"{place}: {name} enlarges images; name them with -i FILE or -i DIR")
    raise UsageError(f"-i: {name} generates images from noise and does not enlarge any; leave it out")

"""`gan sample`: images from a checkpoint as a grid, a folder, an array, an animation or a pipe; or enlarged images."""

import contextlib
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli.cli import ckpt, completing, console, options
from gancli.config import fields_of, paths
from gancli.config.option import reject_unused_options
from gancli.config.sample import EnlargeConfig, SampleConfig
from gancli.errors import GancliError, PartlyFailedError, shell_quoted
from gancli.events import Event
from gancli.store.run_directory import require_model_file
from gancli.text import counted

if TYPE_CHECKING:
    from gancli.metrics.side_by_side import Comparer
    from gancli.sampling.enlarging import Result
    from gancli.sampling.jobs import Plan
    from gancli.store.checkpoint import Model

QUIET_S = 2.0  # shorter work shows no progress


def _sample(
    checkpoint: str, output: str | None, device: str, as_json: bool, variant: list[str] | None, **values: Any
) -> None:
    paths.check_working_directory()
    ckpt.name_variants(variant)
    drawing, enlarging = (options.given(config, values) for config in (SampleConfig, EnlargeConfig))
    drawn, enlarged = SampleConfig(**drawing), EnlargeConfig(**enlarging)
    place, word = ckpt.resolve(checkpoint), shell_quoted(checkpoint)
    reject_unused_options(("--json", as_json and output == "-"), why="stdout is used for the image; give -o a file")
    if enlarged.input is not None:
        reject_unused_options(
            *options.flags(SampleConfig, drawing), why="applies to generating images, and -i enlarges them"
        )
        reject_unused_options(
            ("--true", enlarged.true if not enlarged.compare else None), why="only applies with --compare"
        )
        _enlarge(place, word, enlarged, output, device, as_json)
        return
    reject_unused_options(
        *options.flags(EnlargeConfig, enlarging), why="only applies to enlarging images; give them with -i"
    )
    reject_unused_options(
        ("--batch-size", drawn.walk and drawing.get("batch_size")),
        why="has no effect on --walk, which generates frame by frame",
    )
    _draw(place, word, drawn, output, device, as_json)


sample = options.with_signature(
    _sample,
    [
        options.argument("checkpoint", str, metavar="CKPT", **ckpt.COMPLETION, help=(
            f"A ckpt.safetensors, a run directory, or {ckpt.PRETRAINED}.")),
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


def _draw(checkpoint: Path, word: str, config: SampleConfig, output: str | None, device: str, as_json: bool) -> None:
    from gancli.sampling import files, order

    if output == "-":
        console.binary_stdout()
        if config.walk is not None:
            files.check_walk(".png", output, config)
        files.check_still(config)
    else:
        path = files.place(output, config)
        write = files.writer(path, output, config)
    from gancli.cli.progress import shown_in_pieces
    from gancli.machine.device import choose_device

    where = choose_device(device)
    model = _model(checkpoint, "labels")
    wanted = order.make(model, config, where)
    if output == "-":
        with shown_in_pieces(QUIET_S) as emit:
            encoded = files.encoded_grid(wanted, ".png", emit)
        console.write_stdout(encoded)
        return
    with shown_in_pieces(QUIET_S) as emit:
        written = write(wanted, path, emit)
    if as_json:
        facts, count = model.facts, config.count
        about = {"variant": facts.variant, "step": facts.step, "count": count, "seed": config.seed, "files": written}
        console.print_json(about)
    else:
        console.print_path(path)
        _suggest(f"gan evaluate {word}" if config.walk else f"gan sample {word} -n 4 --walk 4 -o walk.gif")


def _suggest(line: str) -> None:
    """Suggest the next command, on a terminal only."""
    if console.takes_codes(sys.stderr):
        console.print_message(f"next: {line}")


def _enlarge(checkpoint: Path, word: str, wish: EnlargeConfig, output: str | None, device: str, as_json: bool) -> None:
    """Enlarge a file or a folder. `word`: the checkpoint as typed. Raises `PartlyFailedError` if some of several files
    failed."""
    from gancli.cli.progress import shown_in_pieces
    from gancli.machine.device import choose_device
    from gancli.sampling import enlarging, jobs

    if output == "-":
        console.binary_stdout()
    model = _model(checkpoint, "low_res")
    where = choose_device(device)
    with shown_in_pieces(QUIET_S) as emit:
        planned = jobs.plan(wish, output, model.variant.scale, emit)
    with contextlib.closing(planned):
        comparer = _comparer(checkpoint, wish) if wish.compare else None
        upscaler = enlarging.ready(model.variant, where, wish.tile)
        deliver = None if planned.place else console.write_stdout
        make = comparer.make if comparer else None
        with shown_in_pieces(QUIET_S, lambda event: _print_end(event, alone=planned.alone)) as emit:
            result = enlarging.enlarge_files(upscaler, planned, wish.skip_existing, emit, deliver, make)
    if comparer:
        _print_metrics(comparer)
    if result.skipped:
        console.print_message(f"{len(result.skipped)} of {len(planned.jobs)} skipped, as they already exist")
    if as_json:
        about = {"variant": model.facts.variant, "step": model.facts.step, "scale": model.variant.scale}
        files = {"skipped": result.skipped, "files": [asdict(one) for one in result.done], "failed": result.failed}
        console.print_json(about | files | (_metrics(comparer) if comparer else {}))
    elif planned.place is not None:
        console.print_path(planned.place)
        if not wish.compare and not result.failed:
            _suggest(f"gan sample {word} -i {shell_quoted(str(wish.input))} --compare")
    _raise_failures(result, planned)


def _comparer(checkpoint: Path, wish: EnlargeConfig) -> "Comparer":
    from gancli.metrics.side_by_side import Comparer, check_true, name_of

    assert wish.input is not None
    true = None if wish.true is None else paths.expanded(wish.true, "--true")
    if true is not None:
        check_true(wish, true)
    return Comparer(name_of(require_model_file(checkpoint)), paths.expanded(wish.input, "-i"), true)


def _print_metrics(comparer: "Comparer") -> None:
    """Print the metrics of each image that has an original, and their mean."""
    for name, found in comparer.measured.items():
        console.print_message(f"{name}: {comparer.told(found)}")
    if len(comparer.measured) > 1:
        console.print_message(f"mean of {len(comparer.measured)}: {comparer.told(comparer.means())}")


def _metrics(comparer: "Comparer") -> dict[str, Any]:
    figures = {name: {kind: one._asdict() for kind, one in found.items()} for name, found in comparer.measured.items()}
    means = {kind: one._asdict() for kind, one in comparer.means().items()}
    return {"figures": figures, "mean": means}


def _print_end(event: Event, alone: bool) -> bool:
    """Print the end of an image. Returns whether the event is one."""
    from gancli.sampling.enlarging import PictureDone, PictureFailed

    if isinstance(event, PictureFailed):
        console.print_error(event.message)
    elif isinstance(event, PictureDone):
        size = f"{event.width}×{event.height}"
        if not alone:
            console.print_message(f"{event.number}/{event.count}  {event.target}  {size}  {event.seconds:.1f} s")
    else:
        return False
    return True


def _raise_failures(result: "Result", planned: "Plan") -> None:
    if result.end is not None:
        raise GancliError(
            f"{result.end}; {len(result.done)} of {len(planned.jobs)} images are done; continue with --skip-existing"
        )
    if result.failed:
        total, first = len(planned.jobs) + len(planned.refused), next(iter(result.failed.values()))
        raise PartlyFailedError(f"{len(result.failed)} of {counted(total, 'image')} failed; the first: {first}")


def _model(checkpoint: Path, reads: str) -> "Model":
    """The model of a file or run directory. Raises `UsageError` if it does not read `reads`."""
    from gancli.sampling.order import check_reads
    from gancli.store.checkpoint import load_model

    file = require_model_file(checkpoint)
    model = load_model(file)
    ckpt.print_changed(file, model.facts)
    check_reads(model, checkpoint, reads)
    return model

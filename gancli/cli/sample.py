"""`gan sample`: pictures from a checkpoint, into a grid, a folder, an array, an animation or a pipe; or enlarged."""

import contextlib
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli.cli import ckpt, completing, console, options
from gancli.config import fields_of, paths
from gancli.config.effects import refuse
from gancli.config.sample import EnlargeConfig, SampleConfig
from gancli.errors import GancliError, PartlyFailedError, shell_quoted
from gancli.events import Event
from gancli.store.rundir import model_in
from gancli.text import counted

if TYPE_CHECKING:
    from gancli.metrics.side_by_side import Comparer
    from gancli.sampling.enlarging import Result
    from gancli.sampling.jobs import Plan
    from gancli.store.checkpoint import Model

QUIET_S = 2.0  # a picture that takes no longer is not worth a word on how far it is

COMPLETERS = {"label": completing.label}


def _sample(checkpoint: str, output: str | None, device: str, as_json: bool, **values: Any) -> None:
    paths.check_standing()
    drawing, enlarging = (options.given(config, values) for config in (SampleConfig, EnlargeConfig))
    drawn, enlarged = SampleConfig(**drawing), EnlargeConfig(**enlarging)
    place, word = ckpt.located(checkpoint), shell_quoted(checkpoint)
    refuse(("--json", as_json and output == "-"), why="stdout takes the picture; give -o a file")
    if enlarged.input is not None:
        refuse(*options.flags(SampleConfig, drawing), why="is for drawing pictures; -i enlarges them")
        refuse(("--true", enlarged.true if not enlarged.compare else None), why="has an effect only with --compare")
        _enlarge(place, word, enlarged, output, device, as_json)
        return
    refuse(*options.flags(EnlargeConfig, enlarging), why="is for enlarging pictures; say which with -i")
    refuse(
        ("--batch-size", drawn.walk and drawing.get("batch_size")),
        why="has no effect on --walk, which draws frame by frame",
    )
    _draw(place, word, drawn, output, device, as_json)


sample = options.signed(
    _sample,
    [
        options.argument("checkpoint", str, metavar="CKPT", **ckpt.ABOUT, help=(
            f"A ckpt.safetensors, a run directory, or {ckpt.COMES_ALONG}.")),
        options.extra("output", str | None, "-o", "--output", metavar="PATH", show_default="samples.png", help=(
            "Where to write: .png .jpg .webp is a grid; a directory gets one file per image, named by seed; .npz an "
            "array; .gif .webp .mp4 with --walk an animation; - a PNG on stdout. The default with -i is beside the input. "
            "A file that you name is replaced; one that gan names (by default, or in a directory) replaces nothing.")),
        options.DEVICE,
        options.extra("as_json", bool, "--json", default=False, help="Print one JSON document about what was written."),
        *(options.parameter(f, f.option.panel, COMPLETERS.get(f.name))
          for config in (SampleConfig, EnlargeConfig) for f in fields_of(config)),
    ],
    "Draw pictures from a checkpoint. The picture of a seed is the same whatever else is drawn.",
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
        _tell_next(f"gan evaluate {word}" if config.walk else f"gan sample {word} -n 4 --walk 4 -o walk.gif")


def _tell_next(line: str) -> None:
    """What may be done next, for a person who looks on; in a script's log it would be noise."""
    if console.takes_codes(sys.stderr):
        console.say(f"next: {line}")


def _enlarge(checkpoint: Path, word: str, wish: EnlargeConfig, output: str | None, device: str, as_json: bool) -> None:
    """Enlarge a file or a folder. `word`: the checkpoint as it is typed. Raises `PartlyFailedError` where some of several
    files failed."""
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
        with shown_in_pieces(QUIET_S, lambda event: _tell(event, alone=planned.alone)) as emit:
            result = enlarging.enlarge_files(upscaler, planned, wish.skip_existing, emit, deliver, make)
    if comparer:
        _tell_measured(comparer)
    if result.skipped:
        console.say(f"{len(result.skipped)} of {len(planned.jobs)} skipped, as they already exist")
    if as_json:
        about = {"variant": model.facts.variant, "step": model.facts.step, "scale": model.variant.scale}
        files = {"skipped": result.skipped, "files": [asdict(one) for one in result.done], "failed": result.failed}
        console.print_json(about | files | (_measured(comparer) if comparer else {}))
    elif planned.place is not None:
        console.print_path(planned.place)
        if not wish.compare and not result.failed:
            _tell_next(f"gan sample {word} -i {shell_quoted(str(wish.input))} --compare")
    _raise_failures(result, planned)


def _comparer(checkpoint: Path, wish: EnlargeConfig) -> "Comparer":
    from gancli.metrics.side_by_side import Comparer, check_true, name_of

    assert wish.input is not None
    true = None if wish.true is None else paths.expanded(wish.true, "--true")
    if true is not None:
        check_true(wish, true)
    return Comparer(name_of(model_in(checkpoint)), paths.expanded(wish.input, "-i"), true)


def _tell_measured(comparer: "Comparer") -> None:
    """A line for each picture that there was a true one of, and one for their mean."""
    for name, found in comparer.measured.items():
        console.say(f"{name}: {comparer.told(found)}")
    if len(comparer.measured) > 1:
        console.say(f"mean of {len(comparer.measured)}: {comparer.told(comparer.means())}")


def _measured(comparer: "Comparer") -> dict[str, Any]:
    figures = {name: {kind: one._asdict() for kind, one in found.items()} for name, found in comparer.measured.items()}
    means = {kind: one._asdict() for kind, one in comparer.means().items()}
    return {"figures": figures, "mean": means}


def _tell(event: Event, alone: bool) -> bool:
    """Show what ends a picture. Gives whether it does."""
    from gancli.sampling.enlarging import PictureDone, PictureFailed

    if isinstance(event, PictureFailed):
        console.complain(event.message)
    elif isinstance(event, PictureDone):
        size = f"{event.width}×{event.height}"
        if not alone:
            console.say(f"{event.number}/{event.count}  {event.target}  {size}  {event.seconds:.1f} s")
    else:
        return False
    return True


def _raise_failures(result: "Result", planned: "Plan") -> None:
    if result.end is not None:
        raise GancliError(
            f"{result.end}; {len(result.done)} of {len(planned.jobs)} pictures are done, --skip-existing goes on"
        )
    if result.failed:
        total, first = len(planned.jobs) + len(planned.refused), next(iter(result.failed.values()))
        raise PartlyFailedError(f"{len(result.failed)} of {counted(total, 'picture')} failed; the first: {first}")


def _model(checkpoint: Path, reads: str) -> "Model":
    """The model of a file or run directory, if it reads that."""
    from gancli.sampling.order import check_reads
    from gancli.store.checkpoint import load_model

    model = load_model(model_in(checkpoint))
    check_reads(model, checkpoint, reads)
    return model

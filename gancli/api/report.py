"""`gancli.write_report`: the page of runs, or their curves as an image. Imports no torch."""

from collections.abc import Sequence
from pathlib import Path

from gancli.api import options
from gancli.api.options import PathLike
from gancli.config import paths
from gancli.engine.startup import run_directory_of
from gancli.errors import UsageError
from gancli.page import files, run_data
from gancli.page.files import MAX_RUNS
from gancli.page.run_data import RunData
from gancli.page.x_axis import STEPS, check_axis
from gancli.store import pretrained


@options.spoken("runs")
def write_report(runs: PathLike | Sequence[PathLike], path: PathLike = "report.html", over: str = STEPS) -> Path:
    """Write the page of one run, or of several side by side, as `gan report` does, and return its path. `runs`: run
    directories, checkpoints, folders of runs, or names of pretrained models. `path`: a page (`.html`), or the curves alone
    (`.png`, `.svg`, `.pdf`, with the extra `report`); an existing file is replaced. `over`: the x axis, `"steps"`,
    `"images"` trained on, or `"time"` of training. Raises `UsageError`, and `GancliError` if a file cannot be read or
    written."""
    several = [runs] if isinstance(runs, str) or not isinstance(runs, Sequence) else runs
    words = [options.path(each, "runs", "runs or paths") for each in several]
    places = pretrained.resolve_checkpoints(words)[0] if words else []
    place = checked(places, paths.expanded(options.path(path, "path"), "-o"))
    files.write(read(places), place, check_axis(over))
    return place


def checked(runs: Sequence[object], place: Path) -> Path:
    """The place to write to, before anything is read. Raises `GancliError`."""
    if not 1 <= len(runs) <= MAX_RUNS:
        raise UsageError(f"{len(runs)} runs: a page shows 1 to {MAX_RUNS}, side by side")
    paths.check_output(place, "-o")
    files.check_ending(place)
    return place


def read(places: Sequence[Path]) -> list[RunData]:
    """The runs in these places, told apart by their names."""
    found = [_run(place) for place in places]
    run_data.make_names_distinct(found)
    return found


def _run(place: Path) -> RunData:
    """The run that a directory is, or that a file in one belongs to; else the checkpoint by itself."""
    directory = run_directory_of(place)
    return run_data.of_directory(directory.path) if place.is_dir() or directory.holds_run else run_data.of_file(place)

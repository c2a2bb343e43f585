"""`gancli.runs` and `gancli.write_report`: the runs under a folder, and their page. Imports no torch."""

from collections.abc import Sequence
from pathlib import Path

from gancli.api import common
from gancli.api.common import PathLike
from gancli.config import paths
from gancli.engine.startup import run_directory_of
from gancli.errors import UsageError
from gancli.page import files, run_data
from gancli.page.files import MAX_RUNS
from gancli.page.run_data import RunData
from gancli.page.x_axis import STEPS, check_axis
from gancli.store import pretrained
from gancli.store.find_runs import runs_under
from gancli.store.run_info import RunInfo


@common.errors_in_python()
def runs(folder: PathLike = "runs") -> list[RunInfo]:
    """List all runs in a folder and its subfolders, as `gan runs` does: their progress, status, latest losses and best
    metric. Raises `GancliError` if the folder cannot be listed."""
    return runs_under(paths.expanded(Path(common.path(folder, "folder")), "folder"))


@common.errors_in_python("runs")
def write_report(runs: PathLike | Sequence[PathLike], path: PathLike = "report.html", over: str = STEPS) -> Path:
    """Write the page of one run, or of several side by side, as `gan report` does, and return its path. `runs`: run
    directories, checkpoints, folders of runs, or names of pretrained models. `path`: a page (`.html`), or the curves alone
    (`.csv`; `.png`, `.svg`, `.pdf`, with the extra `report`); an existing file is replaced. `over`: the x axis, `"steps"`,
    `"images"` trained on, or `"time"` of training. Raises `UsageError`, and `GancliError` if a file cannot be read or
    written."""
    several = [runs] if isinstance(runs, str) or not isinstance(runs, Sequence) else runs
    arguments = [common.path(each, "runs", "runs or paths") for each in several]
    found = pretrained.resolve_checkpoints(arguments)[0] if arguments else []
    output = check_output(found, paths.expanded(common.path(path, "path"), "-o"))
    files.write(read_runs(found), output, check_axis(over))
    return output


def check_output(runs: Sequence[object], output: Path) -> Path:
    """Return `output`, before anything is read. Raises `UsageError` for too many runs or a file that cannot be written."""
    if not runs or (len(runs) > MAX_RUNS and output.suffix.lower() not in files.TABLES):
        raise UsageError(f"{len(runs)} runs: a page shows 1 to {MAX_RUNS}, side by side")
    paths.check_output(output, "-o")
    files.check_ending(output)
    return output


def read_runs(found: Sequence[Path]) -> list[RunData]:
    """Read run directories and checkpoints, and give each a distinct name."""
    data = []
    for path in found:
        directory = run_directory_of(path)
        is_run = path.is_dir() or directory.holds_run
        data.append(run_data.of_directory(directory.path) if is_run else run_data.of_file(path))
    run_data.make_names_distinct(data)
    return data

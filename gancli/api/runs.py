"""`gancli.runs`: the runs under a folder, as `gan runs` lists them."""

from pathlib import Path

from gancli.api import options
from gancli.api.options import PathLike
from gancli.config.paths import expanded
from gancli.store.run_info import RunInfo, runs_under


@options.spoken()
def runs(folder: PathLike = "runs") -> list[RunInfo]:
    """List all runs in a folder and its subfolders, as `gan runs` does: their progress, status, latest losses and best
    metric. Raises `GancliError` if the folder cannot be listed."""
    return runs_under(expanded(Path(options.path(folder, "folder")), "folder"))

"""`gancli.runs`: the runs under a folder, as `gan runs` lists them."""

import os
from pathlib import Path

from gancli.config.paths import expanded
from gancli.store.overview import Overview, runs_under


def runs(folder: str | os.PathLike[str] = "runs") -> list[Overview]:
    """All runs in a folder and those below it: what, how far, whether they still run, their last losses and best figure.
    Raises `GancliError` where the folder cannot be listed."""
    return runs_under(expanded(Path(folder), "folder"))

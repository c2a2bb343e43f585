"""Pages and curves as files: as `gan report` was asked to, or in the directory of a run that ends."""

from collections.abc import Sequence
from pathlib import Path

from gancli.errors import GancliError, UsageError
from gancli.files import atomic
from gancli.page import render, run_data, x_axis
from gancli.page.run_data import RunData
from gancli.page.x_axis import STEPS
from gancli.store.rundir import RunDirectory

PAGES, FIGURES = (".html", ".htm"), (".png", ".svg", ".pdf")
HEAD_BYTES = 4_096  # of a page, which name its generator


def check_ending(path: Path) -> None:
    """Raises `UsageError` for a file that is neither a page nor a figure of curves."""
    if path.suffix.lower() not in (*PAGES, *FIGURES):
        raise UsageError(f"-o {path}: must end in {PAGES[0]}, or for the curves alone in {' '.join(FIGURES)}")
    if path.is_dir():
        raise UsageError(f"-o {path}: is a directory; give a file in it, such as {path / 'report.html'}")
    if not path.parent.is_dir():
        raise GancliError(f"-o {path}: there is no directory {path.parent} to write it into")


def write(runs: Sequence[RunData], path: Path, over: str = STEPS) -> int:
    """Write the page, or the figure of the curves, by the ending of `path`; returns its bytes. Raises `GancliError`."""
    if path.suffix.lower() in PAGES:
        data = render.render(runs, over)
    else:
        from gancli.page import figure

        x_axis.require(over, runs)
        data = figure.encode(runs, path.suffix.lower(), over)
    atomic.write(path, [data])
    return len(data)


def write_page(directory: RunDirectory) -> str:
    """Write the page of a run that has ended into its directory. Returns a warning if that is not possible, or `""`: no run
    fails because of its page."""
    return _write(directory.page, [directory.path], f"gan report {directory.path}")


def write_sweep_page(folder: Path, runs: Sequence[Path]) -> str:
    """The same for a sweep: the page of as many of its runs as fit side by side, in the folder that they share."""
    page, shown = folder / "report.html", runs[: render.MAX_RUNS]
    if len(shown) == len(runs):
        return _write(page, shown, f"gan report {folder}/*")
    left_out = f"the page has the first {len(shown)} of {len(runs)} runs; gan report RUN... shows others"
    return _write(page, shown, "gan report RUN...") or f"{page}: {left_out}"


def _write(page: Path, runs: Sequence[Path], command: str) -> str:
    try:
        if page.exists() and not _is_ours(page):
            return f"{page}: was not written by gan, and is left as it is; {command} writes another one"
        found = [run_data.of_directory(path) for path in runs]
        run_data.make_names_distinct(found)
        atomic.write(page, [render.render(found)], durable=False)
    except Exception as error:  # of any kind: a model that took days must not be lost for its page
        return f"{page}: not written ({error}); {command} writes it later"
    return ""


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return render.GENERATOR.encode() in file.read(HEAD_BYTES)

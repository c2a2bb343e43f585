"""Pages and curves as files: asked for, or beside a run that ends."""

from collections.abc import Sequence
from pathlib import Path

from gancli.errors import GancliError, UsageError
from gancli.files import atomic
from gancli.page import document, run
from gancli.page.pace import STEPS, axis
from gancli.page.run import Run
from gancli.store.rundir import RunDirectory

PAGES, PICTURES = (".html", ".htm"), (".png", ".svg", ".pdf")
HEAD_BYTES = 4_096  # in which a page of ours says that it is one


def check_ending(path: Path) -> None:
    """Raises `UsageError` for a file that is neither a page nor a picture of curves."""
    if path.suffix.lower() not in (*PAGES, *PICTURES):
        raise UsageError(f"-o {path}: must end in {PAGES[0]}, or for the curves alone in {' '.join(PICTURES)}")
    if path.is_dir():
        raise UsageError(f"-o {path}: is a directory; give a file in it, such as {path / 'report.html'}")
    if not path.parent.is_dir():
        raise GancliError(f"-o {path}: there is no directory {path.parent} to write it into")


def written(runs: Sequence[Run], path: Path, over: str = STEPS) -> int:
    """Write the page, or the picture of the curves, as the ending says. Gives its bytes. Raises `GancliError`."""
    if path.suffix.lower() in PAGES:
        data = document.page(runs, over)
    else:
        from gancli.page.figure import encoded

        data = encoded(runs, path.suffix.lower(), axis(over, runs))
    atomic.write(path, [data])
    return len(data)


def beside(directory: RunDirectory) -> str:
    """Write the page of a run that has ended into its directory. Gives what to warn of where that is not possible, or `""`:
    no run fails for its page."""
    return _left(directory.page, [directory.path], f"gan report {directory.path}")


def among(folder: Path, runs: Sequence[Path]) -> str:
    """The same of a sweep's runs, of as many as a page shows side by side, into the folder that they share."""
    shown = runs[: document.MOST_RUNS]
    if len(shown) == len(runs):
        return _left(folder / "report.html", shown, f"gan report {folder}/*")
    left = f"the page has the first {len(shown)} of {len(runs)} runs; gan report RUN... shows others"
    return _left(folder / "report.html", shown, "gan report RUN...") or f"{folder / 'report.html'}: {left}"


def _left(place: Path, runs: Sequence[Path], again: str) -> str:
    try:
        if place.exists() and not _ours(place):
            return f"{place}: is not a page of ours, and stays as it is; {again} writes another one"
        found = [run.of_directory(path) for path in runs]
        run.tell_apart(found)
        atomic.write(place, [document.page(found)], durable=False)
    except Exception as error:  # whatever it is: a model that took days is not to be lost for a picture of it
        return f"{place}: not written ({error}); {again} does it later"
    return ""


def _ours(path: Path) -> bool:
    with path.open("rb") as file:
        return document.GENERATOR.encode() in file.read(HEAD_BYTES)

"""`gan report`: runs as one page for browsers, or their curves as a picture. Imports no torch."""

from pathlib import Path
from typing import Any

from gancli.cli import ckpt, console, options
from gancli.config import paths
from gancli.engine.begin import run_directory
from gancli.errors import UsageError

DEFAULT = "report.html"


def _report(runs: list[str], output: str | None, as_json: bool) -> None:
    from gancli.page import files, run
    from gancli.page.document import MOST_RUNS

    paths.check_standing()
    if len(runs) > MOST_RUNS:
        raise UsageError(f"{len(runs)} runs: a page shows at most {MOST_RUNS} side by side")
    place = _free() if output is None else paths.expanded(output, "-o")
    paths.check_output(place, "-o")
    files.check_ending(place)
    console.check_stdout()
    found = [_run(ckpt.located(word)) for word in runs]
    run.tell_apart(found)
    size = files.written(found, place)
    for each in found:
        for note in each.notes:
            console.say(f"warning: {each.name}: {note}")
    if as_json:
        console.print_json({"file": str(place), "bytes": size, "runs": [run.document(each) for each in found]})
    else:
        console.print_path(place)


def _run(path: Path) -> Any:
    """The run that a CKPT names: its directory, also of a file in it; else the checkpoint by itself."""
    from gancli.page import run

    directory = run_directory(path)
    return run.of_directory(directory.path) if path.is_dir() or directory.holds_run else run.of_file(path)


def _free() -> Path:
    """`report.html`, or `report-2.html`, …: a name that nobody asked for overwrites nothing."""
    path, number = Path(DEFAULT), 1
    while path.exists() or path.is_symlink():
        number += 1
        path = Path(f"report-{number}.html")
    return path


report = options.signed(
    _report,
    [
        options.argument("runs", list[str], metavar="RUN...", **ckpt.ABOUT, help=(
            f"A run directory, a checkpoint, or {ckpt.COMES_ALONG}; several are shown side by side, with what differs.")),
        options.extra("output", str | None, "-o", "--output", metavar="FILE", show_default=DEFAULT, help=(
            "Where to: .html is a page that needs nothing else; .png .svg .pdf are the curves alone (extra report).")),
        options.extra("as_json", bool, "--json", default=False, help="Print one JSON document about what was written."),
    ],
    "Show runs as one page: curves, samples over the run, figures, options. Every run leaves one, report.html.",
)  # fmt: skip

"""`gan report`: runs as one page for browsers, or their curves as a picture. Imports no torch."""

from gancli.cli import ckpt, completing, console, options
from gancli.config import paths
from gancli.page.x_axis import OVER, STEPS, check

DEFAULT = "report.html"


def _report(runs: list[str], output: str | None, over: str, as_json: bool) -> None:
    from gancli.api import report as reporting
    from gancli.page import files
    from gancli.page.run_data import document

    check(over)
    paths.check_standing()
    places = ckpt.all_located(runs)
    place = reporting.checked(places, paths.free("report", ".html") if output is None else paths.expanded(output, "-o"))
    console.check_stdout()
    found = reporting.read(places)
    size = files.write(found, place, over)
    for run in found:
        for note in run.notes:
            console.say(f"warning: {run.name}: {note}")
    if as_json:
        console.print_json({"file": str(place), "bytes": size, "runs": [document(run) for run in found]})
    else:
        console.print_path(place)


report = options.signed(
    _report,
    [
        options.argument("runs", list[str], metavar="RUN...", **ckpt.ABOUT, help=(
            f"A run directory, a checkpoint, {ckpt.COMES_ALONG}, or a folder of runs, such as a sweep's; several are shown "
            "side by side, with what differs.")),
        options.extra("output", str | None, "-o", "--output", metavar="FILE", show_default=DEFAULT, help=(
            "Where to: .html is a page that needs nothing else; .png .svg .pdf are the curves alone (extra report).")),
        options.extra("over", str, "--over", default=STEPS, metavar="|".join(OVER),
                      autocompletion=completing.of(lambda: OVER), help=(
            "What curves are drawn over: time is that of training, without pauses. A page can change it.")),
        options.extra("as_json", bool, "--json", default=False, help="Print one JSON document about what was written."),
    ],
)  # fmt: skip

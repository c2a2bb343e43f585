"""`gan report`: runs as one HTML page, or their curves as an image or table. Imports no torch."""

from gancli.cli import ckpt, completing, console, options
from gancli.config import paths
from gancli.page.x_axis import OVER, STEPS, check_axis

DEFAULT = "report.html"


def _report(runs: list[str], output: str | None, over: str, as_json: bool) -> None:
    from gancli.api import runs as reporting
    from gancli.page import files
    from gancli.page.run_data import document

    check_axis(over)
    paths.check_working_directory()
    places = ckpt.resolve_all(runs)
    path = reporting.check_output(
        places, paths.free_name("report", ".html") if output is None else paths.expanded(output, "-o")
    )
    console.check_stdout()
    found = reporting.read_runs(places)
    num_bytes = files.write(found, path, over)
    for run in found:
        for note in run.notes:
            console.print_message(f"warning: {run.name}: {note}")
    if as_json:
        console.print_json({"file": str(path), "bytes": num_bytes, "runs": [document(run) for run in found]})
    else:
        console.print_path(path)


report = options.with_signature(
    _report,
    [
        options.argument("runs", list[str], metavar="RUN...", **ckpt.COMPLETION, help=(
            f"A run directory, a checkpoint, {ckpt.PRETRAINED}, or a folder of runs, such as a sweep's; several are shown "
            "side by side, with what differs.")),
        options.plain_option("output", str | None, "-o", "--output", metavar="FILE", show_default=DEFAULT, help=(
            "The file to write: .html for a self-contained page, .png .svg .pdf for the curves alone (extra report), "
            ".csv for their values: run, step, term, value.")),
        options.plain_option("over", str, "--over", default=STEPS, metavar="|".join(OVER),
                      autocompletion=completing.one_of(lambda: OVER), help=(
            "The x axis of the curves; time is training time, without pauses. The page can change it, too.")),
        options.plain_option("as_json", bool, "--json", default=False, help="Print one JSON document about the file."),
    ],
)  # fmt: skip

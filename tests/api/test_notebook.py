"""`progress="notebook"`, `run.plot` and `run.table`: in IPython shells without a terminal, and in a real kernel."""

import builtins
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest

import gancli
from gancli.report.notebook import Notebook
from tests.conftest import OPTIONS, ROOT
from tests.report.facts import row, started

pytest.importorskip("IPython", reason="IPython, the extra notebook, is not installed")
NEEDS_MATPLOTLIB = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="matplotlib, the extra report, is not installed"
)


class Outputs:
    """What a notebook shows: outputs in their order, each with the states that it had."""

    def __init__(self) -> None:
        self.states: dict[str, list[dict[str, Any]]] = {}

    def publish(self, data: dict[str, Any], transient: dict[str, Any], update: bool) -> None:
        name = transient["display_id"]
        assert update == (name in self.states), "the first time it is shown, then replaced"
        self.states.setdefault(name, []).append(data)


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Outputs]:
    """The outputs of an IPython shell that is no terminal's."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    from IPython.core.displaypub import DisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    found = Outputs()

    def publish(self: Any, data: Any, *args: Any, transient: Any = None, update: bool = False, **more: Any) -> None:
        del self, args, more
        found.publish(data, transient, update)

    monkeypatch.setattr(DisplayPublisher, "publish", publish)
    hook, before = sys.displayhook, {*vars(builtins)}
    InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    yield found
    InteractiveShell.clear_instance()
    sys.displayhook = hook
    for name in {*vars(builtins)} - before:
        delattr(builtins, name)


def test_a_run_is_one_table_and_one_grid(outputs: Outputs, capfd: pytest.CaptureFixture[str]) -> None:
    seen = list[object]()
    run = gancli.train("vanilla", **OPTIONS, steps=10, progress="notebook", on_event=seen.append)
    table, grid = outputs.states.values()
    assert {*table[0]} == {"text/html", "text/plain"}
    assert grid[-1]["image/png"].startswith(b"\x89PNG")
    assert len(grid) == sum(isinstance(event, gancli.events.SamplesDrawn) for event in seen)
    last = table[-1]
    assert 'value="10" max="10"' in last["text/html"]
    assert "D loss" in last["text/html"]
    assert str(run.out) in last["text/html"]
    assert "10 of 10" in last["text/plain"]
    assert "D loss" in last["text/plain"]
    assert capfd.readouterr() == ("", ""), "nothing is printed beside it"


def test_the_same_bytes_as_without_a_notebook(outputs: Outputs) -> None:
    runs = [
        gancli.train("vanilla", **OPTIONS, steps=5, progress=each, out=f"runs/{each}") for each in ("notebook", "none")
    ]
    first, second = (Path(run, "samples/step-00000005.png").read_bytes() for run in runs)
    assert first == second
    assert outputs.states


def test_markup_in_names_and_warnings_is_shown_as_text(outputs: Outputs) -> None:
    with Notebook() as report:
        report(started(dataset="<script>x</script>"))
        report(row(10, {"<b>loss": 0.5}))
        report(gancli.events.Warned("<img src=x>\x1b[2J"))
    ((*_, last),) = outputs.states.values()
    assert not re.search(r"<(script|b|img)\b", last["text/html"])
    assert "&lt;img src=x&gt;\\x1b[2J" in last["text/html"]
    assert "<img src=x>\\x1b[2J" in last["text/plain"]


def test_progress_is_drawn_at_most_twice_a_second(outputs: Outputs) -> None:
    now = 0.0
    report = Notebook(lambda: now)
    report(started())
    for index in range(100):
        now = index / 100
        report(gancli.events.Progress(index, 100))
    (table,) = outputs.states.values()
    assert len(table) == 2


def test_without_a_notebook_it_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(
        gancli.GancliError, match=r"progress=\"notebook\": only for a notebook, and Python is not"
    ) as caught:
        gancli.train("vanilla", **OPTIONS, steps=5, progress="notebook", out="runs/a")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_without_ipython_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", None)
    with pytest.raises(gancli.GancliError, match=r"needs IPython: pip install 'gancli\[notebook\]'"):
        gancli.training("vanilla", **OPTIONS, steps=5, progress="notebook")


def test_the_command_line_has_no_such_progress() -> None:
    code = "import sys, gancli; gancli.train('vanilla', steps=1, image_size=8); assert 'IPython' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    command = [sys.executable, "-m", "gancli", "train", "--progress", "notebook"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--progress notebook: must be" in done.stderr


def test_rows_are_a_table_of_numbers() -> None:
    run = gancli.train("vanilla", **OPTIONS, steps=10)
    table = run.table()
    assert [each["step"] for each in table] == [5, 10]
    assert table[0]["d_loss"] == run.rows[0].terms["d_loss"]
    assert all(isinstance(value, str | int | float) for each in table for value in each.values())
    written = [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]
    assert [{key: each[key] for key in each if key != "time"} for each in written] == table
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame(table)
    assert frame["d_loss"].dtype == "float64"


@NEEDS_MATPLOTLIB
def test_losses_are_plotted_during_and_after_a_run() -> None:
    from matplotlib.figure import Figure

    run = gancli.training("vanilla", **OPTIONS, steps=10)
    with pytest.raises(gancli.GancliError, match="vanilla: has no losses yet"):
        run.plot()
    for event in run:
        if isinstance(event, gancli.events.LossRow) and event.step == 5:
            during = run.plot()
            with pytest.raises(gancli.GancliError, match="images"):
                run.plot(over="images")
    after = run.plot()
    for figure, steps in ((during, [5]), (after, [5, 10])):
        assert isinstance(figure, Figure)
        losses = {line.get_label(): numpy.asarray(line.get_xdata()).tolist() for line in figure.axes[0].lines}
        assert losses["D loss"] == losses["G loss"] == steps
    assert numpy.asarray(run.plot(over="images").axes[0].lines[0].get_xdata()).tolist() == [80, 160]
    assert after._repr_png_().startswith(b"\x89PNG"), "a notebook shows it without pyplot"
    with pytest.raises(gancli.GancliError, match="over=epochs: must be one of steps, images, time"):
        run.plot(over="epochs")


@pytest.mark.slow
@NEEDS_MATPLOTLIB
def test_the_example_notebook_runs_in_a_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nbclient", "ipykernel"):
        pytest.importorskip(name, reason=f"{name}, of the extra test, is not installed")
    monkeypatch.setenv("GAN_THREADS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    executed = tmp_path / "executed.ipynb"
    code = (
        "import sys, nbformat, nbclient\n"
        "book = nbformat.read(sys.argv[1], 4)\n"
        "nbclient.NotebookClient(book, timeout=300, kernel_name='python3').execute()\n"
        "nbformat.write(book, sys.argv[2])\n"
    )
    command = [sys.executable, "-c", code, str(ROOT / "examples" / "notebook.ipynb"), str(executed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    cells = [cell for cell in json.loads(executed.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
    kinds = [[{*each.get("data", {})} for each in cell["outputs"]] for cell in cells]
    table, grid, shown = kinds[1]
    assert table == {"text/html", "text/plain"}, "each display once, in its last state"
    assert grid == {"image/png", "text/plain"}
    assert shown == {"text/plain"}
    assert 'value="60" max="60"' in "".join(cells[1]["outputs"][0]["data"]["text/html"])
    (figure,) = kinds[2]
    assert "image/png" in figure, "a figure is shown once, without pyplot"
    assert "image/png" in kinds[4][0]
    assert "text/html" in kinds[6][-1]
    assert not any(output["output_type"] == "error" for cell in cells for output in cell["outputs"])


def test_the_example_notebook_is_stored_without_outputs() -> None:
    book = json.loads((ROOT / "examples" / "notebook.ipynb").read_text("utf-8"))
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in book["cells"] if "outputs" in cell)

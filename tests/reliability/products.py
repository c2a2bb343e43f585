"""What a command must have made when it says that it is done: each gives a digest of it, or raises `WrongError`."""

import hashlib
import io
import json
import re
import shlex
import struct
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from PIL import Image

from tests.reliability.cells import NUM_PICTURES, STEPS, Cell
from tests.reliability.servers import Outcome

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)|\r")
Product = Callable[[Cell, Outcome], str]


class WrongError(Exception):
    """What a command made is not what it should be."""


def model(path: Path) -> str:
    """The tensors of a safetensors file, as a hash; the order of its header does not matter."""
    data = _read(path)
    try:
        start = 8 + struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8:start])
        tensors = sorted((name, about) for name, about in header.items() if name != "__metadata__")
        if start + max(about["data_offsets"][1] for _, about in tensors) != len(data):
            raise WrongError(f"{path.name} is cut short")
        found = hashlib.sha256()
        for name, about in tensors:
            begin, end = about["data_offsets"]
            found.update(f"{name} {about['shape']}".encode() + data[start + begin : start + end])
        return found.hexdigest()
    except (ValueError, KeyError, struct.error) as error:
        raise WrongError(f"{path.name} is no model ({type(error).__name__})") from None


def trained(role: str) -> Product:
    """A finished run: its rows go to the last step, its model and last state are whole."""

    def product(cell: Cell, _: Outcome) -> str:
        run = cell.path(role)
        rows = [json.loads(line) for line in _read(run / "metrics.jsonl").splitlines()]
        if max((row["step"] for row in rows), default=0) != STEPS:
            raise WrongError(f"metrics.jsonl does not go to step {STEPS}")
        return model(run / "ckpt.safetensors") + model(run / "state" / f"step-{STEPS:08d}.safetensors")

    return product


def followed(cell: Cell, outcome: Outcome) -> str:
    """A run whose events are on stdout: it was trained on all pictures and on nothing else."""
    if outcome.whole:
        rows = [json.loads(line) for line in outcome.out.splitlines()]
        started = [row["num_images"] for row in rows if row["event"] == "run_started"]
        if started != [NUM_PICTURES]:
            raise WrongError(f"trained on {started} pictures instead of {NUM_PICTURES}")
        if rows[-1]["event"] != "run_finished":
            raise WrongError("the last event is not run_finished")
    return trained("out")(cell, outcome)


def swept(cell: Cell, _: Outcome) -> str:
    """Two finished runs below the folder, and a page about both."""
    runs = sorted(path.parent for path in cell.path("out").glob("*/ckpt.safetensors"))
    if [run.name for run in runs] != ["000-seed=0", "001-seed=1"]:
        raise WrongError(f"finished are {', '.join(run.name for run in runs) or 'none'} of the two runs")
    if not _read(cell.path("out") / "report.html").endswith(b"</html>\n"):
        raise WrongError("the page is cut short")
    return "".join(model(run / "state" / f"step-{STEPS:08d}.safetensors") for run in runs)


def for_tensorboard(cell: Cell, outcome: Outcome) -> str:
    """A finished run whose losses TensorBoard's own reader finds."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(cell.path("out") / "tensorboard"))
    reader.Reload()
    steps = [event.step for tag in reader.Tags()["scalars"] if "d_loss" in tag for event in reader.Scalars(tag)]
    if steps != list(range(1, STEPS + 1)):
        raise WrongError(f"TensorBoard finds d_loss at {steps}")
    return trained("out")(cell, outcome)


def some_state(cell: Cell, _: Outcome) -> str:
    """A new run's newest state, whole."""
    states = sorted((cell.path("out") / "state").glob("step-*.safetensors"))
    if not states:
        raise WrongError("no state was saved")
    return model(states[-1])


def stopped(cell: Cell, outcome: Outcome) -> str:
    """A run that was stopped: its state is there, and the command that it prints can be typed."""
    some_state(cell, outcome)
    lines = outcome.err.decode("utf-8", "replace").splitlines()
    told = next((after for line, after in pairwise(lines) if "to resume:" in line), "")
    printed = told[told.find("gan train") :] if "gan train" in told else ""
    if lines and not printed and outcome.heard:
        raise WrongError("no command to resume is printed")
    if printed and cell.names.out.isprintable() and "\\" not in printed:
        named = [(cell.work / word).resolve() for word in shlex.split(printed)]
        if cell.path("out").resolve() not in named:
            raise WrongError(f"the printed command does not name the run: {printed.strip()[:80]}")
    return ""


def picture(role: str) -> Product:
    def product(cell: Cell, _: Outcome) -> str:
        path = cell.path(role)
        return _pixels(_read(path), path.name)

    return product


def folder(role: str, number: Callable[[Cell], int]) -> Product:
    """So many pictures in a folder."""

    def product(cell: Cell, _: Outcome) -> str:
        place = cell.path(role)
        found = sorted(place.rglob("*.png")) if place.is_dir() else []
        if len(found) != number(cell):
            raise WrongError(f"{len(found)} pictures in the folder instead of {number(cell)}")
        return " ".join(sorted(_pixels(_read(path), path.name) for path in found))  # whatever they are called

    return product


def array(cell: Cell, _: Outcome) -> str:
    try:
        with zipfile.ZipFile(cell.path("array")) as archive:
            return "".join(f"{name} {archive.getinfo(name).CRC}" for name in sorted(archive.namelist()))
    except (OSError, zipfile.BadZipFile):
        raise WrongError("the .npz cannot be opened") from None


def hub(cell: Cell, _: Outcome) -> str:
    """A model's folder: all four files, the weights whole."""
    place = cell.path("hub")
    found = sorted(path.name for path in place.iterdir()) if place.is_dir() else []
    if found != ["README.md", "config.json", "model.safetensors", "samples.png"]:
        raise WrongError(f"the folder holds {', '.join(found) or 'nothing'}")
    json.loads(_read(place / "config.json"))
    return model(place / "model.safetensors") + _pixels(_read(place / "samples.png"), "samples.png")


def on_stdout(_: Cell, outcome: Outcome) -> str:
    """A picture in a pipe, if the pipe was read to its end."""
    return _pixels(outcome.out, "stdout") if outcome.whole else ""


def says(*words: str) -> Product:
    """Words that are on stdout, if that was read to its end."""

    def product(_: Cell, outcome: Outcome) -> str:
        text = ESCAPE.sub("", outcome.out.decode("utf-8", "replace")).lower()
        missing = [word for word in words if word not in text]
        if missing and outcome.whole:
            raise WrongError(f"stdout does not say {missing[0]}")
        return ""

    return product


def page(cell: Cell, _: Outcome) -> str:
    """A whole page about the finished run. Its bytes hold when it was made."""
    text = _read(cell.path("page"))
    if not text.startswith(b"<!DOCTYPE html>") or not text.endswith(b"</html>\n"):
        raise WrongError("the page is cut short")
    if b"vanilla" not in text or b"uPlot" not in text:
        raise WrongError("the page does not show the run")
    return ""


def about(variant: str) -> Product:
    """One JSON document about a model of that variant."""

    def product(_: Cell, outcome: Outcome) -> str:
        if outcome.whole and json.loads(outcome.out)["variant"] != variant:
            raise WrongError("the JSON is about another variant")
        return ""

    return product


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WrongError(f"{path.name} cannot be read ({error.strerror})") from None


def _pixels(data: bytes, name: str) -> str:
    try:
        with Image.open(io.BytesIO(data)) as image:
            return f"{image.size} {hashlib.sha256(image.tobytes()).hexdigest()}"
    except (OSError, SyntaxError):
        raise WrongError(f"{name} is no picture") from None

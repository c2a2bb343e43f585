"""What is run in every surrounding, and what each command must have made when it says that it is done."""

import hashlib
import importlib.util
import io
import json
import shlex
import struct
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tests.reliability.cells import NUM_PICTURES, STEPS, Cell, Names
from tests.reliability.servers import Outcome

MODEL = ("--image-size", "8", "--batch-size", "4", "--device", "cpu", "--threads", "1", "--width", "8")
SMALL = (*MODEL, "--latent-dim", "4", "--inner-width", "16")
OFTEN = ("--log-every", "1", "--save-every", "2", "--sample-every", "2", "--progress", "plain")
ENLARGER = (
    *("-v", "srgan", "--image-size", "16", "--batch-size", "4", "--device", "cpu", "--threads", "1", "--width", "8"),
    *("--blocks", "1", "--d-width", "4", "--steps", "2", "--pretrain-steps", "1"),
)


ENDLESS = "1000000"


class Wrong(Exception):
    """What a command made is not what it should be."""


Product = Callable[[Cell, Outcome], str]  # a digest of what was made; raises `Wrong`
Args = Callable[[Names], Sequence[str]]


@dataclass(frozen=True)
class Command:
    """`reads` and `makes` are roles of `Names`; `changes` those of what was there before that may change."""

    name: str
    args: Args
    codes: frozenset[int] = frozenset({0})
    reads: frozenset[str] = frozenset()
    makes: str = ""
    changes: str = ""
    trains: bool = False
    tells: bool = False  # what it makes goes to stdout
    same: bool = False  # says the same in every surrounding
    event: str = ""  # what happens meanwhile, as in meanwhile.py
    product: Product | None = None


def model(path: Path) -> str:
    """The tensors of a safetensors file, as a hash; the order of its header does not matter."""
    try:
        data = path.read_bytes()
        start = 8 + struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8:start])
        found = hashlib.sha256()
        for name, about in sorted((n, a) for n, a in header.items() if n != "__metadata__"):
            begin, end = about["data_offsets"]
            found.update(f"{name} {about['shape']}".encode() + data[start + begin : start + end])
        if start + max(about["data_offsets"][1] for n, about in header.items() if n != "__metadata__") != len(data):
            raise Wrong(f"{path.name} is cut short")
        return found.hexdigest()
    except (OSError, ValueError, KeyError, struct.error) as error:
        raise Wrong(f"{path.name} is no model ({type(error).__name__})") from None


def _trained(role: str) -> Product:
    def product(cell: Cell, _: Outcome) -> str:
        run = cell.path(role)
        rows = [json.loads(line) for line in _read(run / "metrics.jsonl").splitlines()]
        if max((row["step"] for row in rows), default=0) != STEPS:
            raise Wrong(f"metrics.jsonl does not go to step {STEPS}")
        return model(run / "ckpt.safetensors") + model(run / "state" / f"step-{STEPS:08d}.safetensors")

    return product


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise Wrong(f"{path.name} is not there") from None


def _followed(cell: Cell, outcome: Outcome) -> str:
    """A run whose events are on stdout: it was trained on all pictures and on nothing else."""
    if outcome.out:
        rows = [json.loads(line) for line in outcome.out.splitlines()]
        started = next((row for row in rows if row["event"] == "run_started"), {})
        if started.get("num_images") != NUM_PICTURES:
            raise Wrong(f"trained on {started.get('num_images')} pictures instead of {NUM_PICTURES}")
        if rows[-1]["event"] != "run_finished":
            raise Wrong("the last event is not run_finished")
    return _trained("out")(cell, outcome)


def some_state(cell: Cell, _: Outcome) -> str:
    """A new run's newest state, whole."""
    states = sorted((cell.path("out") / "state").glob("step-*.safetensors"))
    if not states:
        raise Wrong("no state was saved")
    return model(states[-1])


def _stopped(cell: Cell, outcome: Outcome) -> str:
    """A run that was stopped: its state is there, and the command that it prints can be typed."""
    some_state(cell, outcome)
    lines = outcome.err.decode("utf-8", "replace").splitlines()
    printed = next((lines[i + 1] for i, line in enumerate(lines[:-1]) if line.startswith("go on with")), "")
    if outcome.err and not printed:
        raise Wrong("no command to go on with is printed")
    if printed and cell.names.out.isprintable() and "\\" not in printed:
        if not any((cell.work / word).resolve() == cell.path("out").resolve() for word in shlex.split(printed)):
            raise Wrong(f"the printed command does not name the run: {printed.strip()[:80]}")
    return ""


def _picture(path: Path) -> str:
    return _pixels(_read(path), path.name)


def _pixels(data: bytes, name: str) -> str:
    try:
        with Image.open(io.BytesIO(data)) as image:
            return f"{image.size} {hashlib.sha256(image.tobytes()).hexdigest()}"
    except (OSError, SyntaxError):
        raise Wrong(f"{name} is no picture") from None


def _folder(role: str, number: Callable[[Cell], int]) -> Product:
    def product(cell: Cell, _: Outcome) -> str:
        place = cell.path(role)
        found = sorted(place.rglob("*.png")) if place.is_dir() else []
        if len(found) != number(cell):
            raise Wrong(f"{len(found)} pictures in the folder instead of {number(cell)}")
        return "".join(map(_picture, found))

    return product


def _to_enlarge(cell: Cell) -> int:
    return sum(path.is_file() for path in cell.path("low").iterdir())


def _array(cell: Cell, _: Outcome) -> str:
    try:
        with zipfile.ZipFile(cell.path("array")) as archive:
            return "".join(f"{name} {archive.getinfo(name).CRC}" for name in sorted(archive.namelist()))
    except (OSError, zipfile.BadZipFile):
        raise Wrong("the .npz cannot be opened") from None


def _on_stdout(_: Cell, outcome: Outcome) -> str:
    return _pixels(outcome.out, "stdout") if outcome.out else ""


def _says(*words: str) -> Product:
    def product(_: Cell, outcome: Outcome) -> str:
        text = outcome.out.decode("utf-8", "replace").lower()
        missing = [word for word in words if word not in text]
        if missing and text:
            raise Wrong(f"stdout does not say {missing[0]}")
        return ""

    return product


def _json(cell: Cell, outcome: Outcome) -> str:
    del cell
    if outcome.out and json.loads(outcome.out)["variant"] != "vanilla":
        raise Wrong("the JSON is another model's")
    return ""


def commands() -> list[Command]:
    """All of them, the cheap ones first."""
    told = {"tells": True, "same": True}
    new = {"makes": "out", "trains": True, "reads": frozenset({"pics"})}
    draws = {"reads": frozenset({"run"})}
    enlarges = {"reads": frozenset({"sr", "low"})}

    def fresh(n: Names, *more: str) -> list[str]:
        return ["train", "-d", n.pics, "--out", n.out, *SMALL, *OFTEN, "--steps", str(STEPS), *more]

    def picture(n: Names) -> str:
        return f"{n.low}/{n.picture}"

    found = [
        Command("alone", lambda _: [], frozenset({0, 2}), tells=True, product=_says("train", "sample")),
        Command("help", lambda _: ["--help"], **told, product=_says("train", "sample", "inspect")),
        Command("train help", lambda _: ["train", "--help"], **told, product=_says("--dataset", "--steps")),
        Command("variants", lambda _: ["variants"], **told, product=_says("vanilla", "srgan")),
        Command("one variant", lambda _: ["variants", "srgan"], **told, product=_says("ledig")),
        Command("inspect", lambda n: ["inspect", n.run], tells=True, **draws, product=_says("vanilla")),
        Command(
            "inspect json", lambda n: ["inspect", f"{n.run}/ckpt.safetensors", "--json"], tells=True, **draws, product=_json
        ),
        Command(
            "dry run", lambda n: [*fresh(n), "--dry-run"], tells=True, reads=frozenset({"pics"}), product=_says("latent")
        ),
        Command("train", fresh, **new, product=_trained("out")),
        Command("train json", lambda n: fresh(n, "--progress", "json"), **new, product=_followed),
        Command("stopped", lambda n: fresh(n, "--steps", ENDLESS), frozenset({75}), **new, product=_stopped, event="SIGTERM"),
        Command(
            "resume", lambda n: ["train", "--resume", "auto", "--out", n.half], reads=frozenset({"half", "pics"}),
            makes="half", changes="half", trains=True, product=_trained("half"),
        ),
        Command("grid", lambda n: ["sample", n.run, "-n", "4", "-o", n.grid], **draws, makes="grid",
                product=lambda cell, _: _picture(cell.path("grid"))),
        Command("folder", lambda n: ["sample", n.run, "-n", "4", "-o", f"{n.drawn}/"], **draws, makes="drawn",
                product=_folder("drawn", lambda _: 4)),
        Command("array", lambda n: ["sample", n.run, "-n", "4", "-o", n.array], **draws, makes="array", product=_array),
        Command("pipe", lambda n: ["sample", n.run, "-n", "4", "-o", "-"], **draws, tells=True, product=_on_stdout),
        Command("enlarge", lambda n: ["sample", n.sr, "-i", picture(n), "-o", n.enlarged], **enlarges, makes="enlarged",
                product=lambda cell, _: _picture(cell.path("enlarged"))),
        Command("enlarge all", lambda n: ["sample", n.sr, "-i", n.low, "-o", n.big], **enlarges, makes="big",
                product=_folder("big", _to_enlarge)),
        Command("evaluate", lambda n: ["evaluate", n.sr, "-d", n.photos], reads=frozenset({"sr", "photos"}),
                changes="sr", tells=True, product=_says("psnr")),
    ]  # fmt: skip
    if importlib.util.find_spec("gancli.cli.cache"):
        found.insert(5, Command("cache", lambda _: ["cache"], tells=True))
    return found

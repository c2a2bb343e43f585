"""What is run in every surrounding: each command once, as small as it can be."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.reliability import products
from tests.reliability.cells import STEPS, Cell, Names
from tests.reliability.products import Product, says

TINY = ("--batch-size", "4", "--device", "cpu", "--threads", "1", "--width", "8")
MODEL = (*TINY, "--image-size", "8", "--latent-dim", "4", "--inner-width", "16")
ENLARGER = (
    *TINY,
    "-v",
    "srgan",
    "--image-size",
    "16",
    "--blocks",
    "1",
    "--d-width",
    "4",
    "--steps",
    "2",
    "--pretrain-steps",
    "1",
)
OFTEN = ("--log-every", "1", "--save-every", "2", "--sample-every", "2", "--progress", "plain")
NUM_DRAWN = "4"


@dataclass(frozen=True)
class Command:
    """A command line, and what is right of it: `codes` where nothing is odd.

    `reads` and `makes` are roles of `Names`; `changes` is what was there before and may change: a role, or a file of it.
    """

    name: str
    args: Callable[[Names], Sequence[str]]
    product: Product
    reads: frozenset[str] = frozenset()
    makes: str = ""
    changes: str = ""
    codes: frozenset[int] = frozenset({0})
    trains: bool = False
    tells: bool = False  # what it makes goes to stdout
    same: bool = False  # says the same wherever it is run
    event: str = ""  # what happens meanwhile, as in meanwhile.py


def training(names: Names, *more: str) -> list[str]:
    return ["train", "-d", names.pics, "--out", names.out, *MODEL, *OFTEN, "--steps", str(STEPS), *more]


def _telling() -> list[Command]:
    def told(name: str, *args: str, says: Product) -> Command:
        return Command(name, lambda _: args, says, tells=True, same=True)

    found = [
        Command("alone", lambda _: [], says("train", "sample"), codes=frozenset({0, 2}), tells=True),
        told("help", "--help", says=says("train", "sample", "inspect")),
        told("train help", "train", "--help", says=says("--dataset", "--steps")),
        told("variants", "variants", says=says("vanilla", "srgan")),
        told("one variant", "variants", "srgan", says=says("ledig")),
    ]
    if importlib.util.find_spec("gancli.cli.cache"):
        kept = frozenset({"cache"})
        found.append(Command("cache", lambda _: ["cache"], says(), kept, tells=True))
        found.append(Command("cache clear", lambda _: ["cache", "--clear"], says(), kept, tells=True))
    return found


def _inspecting() -> list[Command]:
    run, pics = frozenset({"run"}), frozenset({"pics"})

    def as_json(names: Names) -> list[str]:
        return ["inspect", f"{names.run}/ckpt.safetensors", "--json"]

    return [
        Command("inspect", lambda n: ["inspect", n.run], says("vanilla"), run, tells=True),
        Command("inspect json", as_json, products.about("vanilla"), run, tells=True),
        Command("runs", lambda n: ["runs", n.run], says("step", "state"), run, tells=True),
        Command("report", lambda n: ["report", n.run, "-o", n.page], products.page, run, "page"),
        Command("dry run", lambda n: training(n, "--dry-run"), says("latent"), pics, tells=True),
    ]


def _training() -> list[Command]:
    pics = frozenset({"pics"})

    def following(names: Names) -> list[str]:
        return training(names, "--progress", "json")

    def endless(names: Names) -> list[str]:
        return training(names, "--steps", "1000000")

    def resuming(names: Names) -> list[str]:
        return [
            "train",
            "--resume",
            "auto",
            "--out",
            names.half,
            "--steps",
            str(STEPS),
        ]  # if it starts anew, for no more

    def sweeping(names: Names) -> list[str]:
        return training(names, "--seed", "0-1")

    def drawing_curves(names: Names) -> list[str]:
        return training(names, "--tensorboard")

    found = [
        Command("train", training, products.trained("out"), pics, "out", trains=True),
        Command("train json", following, products.followed, pics, "out", trains=True),
        Command("stopped", endless, products.stopped, pics, "out", codes=frozenset({75}), trains=True, event="SIGTERM"),
        Command("resume", resuming, products.trained("half"), pics | {"half"}, "half", "half", trains=True),
        Command("sweep", sweeping, products.swept, pics, "out", trains=True),
    ]
    if importlib.util.find_spec("tensorboard"):
        found.append(Command("tensorboard", drawing_curves, products.for_tensorboard, pics, "out", trains=True))
    return found


def _drawing() -> list[Command]:
    run, enlarger = frozenset({"run"}), frozenset({"sr", "low"})

    def drawing(to: Callable[[Names], str]) -> Callable[[Names], list[str]]:
        return lambda n: ["sample", n.run, "-n", NUM_DRAWN, "-o", to(n)]

    def one(names: Names) -> list[str]:
        return ["sample", names.sr, "-i", f"{names.low}/{names.picture}", "-o", names.enlarged]

    def all_of(names: Names) -> list[str]:
        return ["sample", names.sr, "-i", names.low, "-o", names.big]

    def to_enlarge(cell: Cell) -> int:
        return sum(path.is_file() for path in cell.path("low").iterdir())

    drawn = products.folder("drawn", lambda _: int(NUM_DRAWN))
    return [
        Command("grid", drawing(lambda n: n.grid), products.picture("grid"), run, "grid"),
        Command("folder", drawing(lambda n: f"{n.drawn}/"), drawn, run, "drawn"),
        Command("array", drawing(lambda n: n.array), products.array, run, "array"),
        Command("pipe", drawing(lambda _: "-"), products.on_stdout, run, tells=True),
        Command("export", lambda n: ["export", n.run, "-o", f"{n.hub}/"], products.hub, run, "hub"),
        Command("enlarge", one, products.picture("enlarged"), enlarger, "enlarged"),
        Command("enlarge all", all_of, products.folder("big", to_enlarge), enlarger, "big"),
        Command(
            "evaluate", lambda n: ["evaluate", n.sr, "-d", n.photos], says("psnr"), frozenset({"sr", "photos"}),
            changes="sr/metrics.jsonl", tells=True,
        ),
    ]  # fmt: skip


def commands() -> list[Command]:
    """All of them, the cheap ones first."""
    return [*_telling(), *_inspecting(), *_training(), *_drawing()]

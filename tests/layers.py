"""The layers of the package. `tests/test_imports.py` checks each file against them; `python -m tests.layers` prints the
table of CONTRIBUTING.md."""

from typing import NamedTuple


class Layer(NamedTuple):
    """Parts of the package (folders, and files at its top) that may import each other, without circles, and those below."""

    parts: tuple[str, ...]
    holds: str


LAYERS = (
    Layer(
        ("errors", "format", "images", "process", "spec", "text"),
        "errors, formats of numbers and messages, conversions of images",
    ),
    Layer(
        ("config", "events", "files", "nn", "variant"),
        "options; events of a run; atomic writes and locks; layers and losses; the contract of a variant",
    ),
    Layer(
        ("machine", "report", "catalogue"),
        "devices, memory and processes; progress and logs; variants by name, from outside too, and checks of their code",
    ),
    Layer(("data",), "datasets"),
    Layer(("batches", "store"), "batches of a training step; checkpoints and run directories"),
    Layer(
        ("variants", "steps", "sampling", "page"),
        "the five models; a training step, plain, captured or compiled; generating and enlarging images; the report page",
    ),
    Layer(("metrics", "export"), "evaluation; ONNX, torch.export and model folders"),
    Layer(("engine",), "a run, from its plan to its end"),
    Layer(("api",), "the Python interface"),
    Layer(("demo",), "the page of `gan demo`"),
    Layer(("cli",), "the command line: parses, calls, prints"),
    Layer(("__main__",), "`python -m gancli`"),
)
NUMBER = {part: number for number, layer in enumerate(LAYERS) for part in layer.parts}


def table() -> str:
    """The layers, lowest first, as Markdown."""
    rows = [f"| {' '.join(f'`{part}`' for part in layer.parts)} | {layer.holds} |" for layer in LAYERS]
    return "\n".join(("| layer, lowest first | holds |", "| --- | --- |", *rows))


if __name__ == "__main__":
    print(table())  # noqa: T201

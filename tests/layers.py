"""The layers of the package, said once: `tests/test_imports.py` holds every file to them, and `python -m tests.layers`
prints them as CONTRIBUTING.md shows them."""

from typing import NamedTuple


class Layer(NamedTuple):
    """Parts of the package (folders, and files at its top) that may import each other, without circles, and those below."""

    parts: tuple[str, ...]
    holds: str


LAYERS = (
    Layer(("errors", "events", "format", "images", "process", "text"), "words that everything else uses"),
    Layer(
        ("files", "nn", "config"), "files that are whole or not there, and locks; what networks are built of; options"
    ),
    Layer(("machine", "report"), "what computes, and what room it has; telling how a run goes"),
    Layer(("data",), "where pictures come from"),
    Layer(("batches",), "what a step is given"),
    Layer(("variant", "catalogue"), "the one contract, and the list of those who hold to it"),
    Layer(
        ("variants",),
        "a paper's options, and its networks and step; they import no other variant, and nobody imports them",
    ),
    Layer(("steps", "store", "sampling"), "one step, and many at a word; what lies on disk; drawing and enlarging"),
    Layer(("metrics", "export"), "measuring; a model as other programs open it"),
    Layer(("page",), "runs as one page for browsers, and their curves as pictures"),
    Layer(("engine",), "a run from plan to finish"),
    Layer(("api",), "the verbs for Python"),
    Layer(("cli", "__main__"), "the command line: parses, calls, shows"),
)
NUMBER = {part: number for number, layer in enumerate(LAYERS) for part in layer.parts}


def table() -> str:
    """The layers, lowest first, as Markdown."""
    rows = [f"| {' '.join(f'`{part}`' for part in layer.parts)} | {layer.holds} |" for layer in LAYERS]
    return "\n".join(("| layer, lowest first | holds |", "| --- | --- |", *rows))


if __name__ == "__main__":
    print(table())  # noqa: T201

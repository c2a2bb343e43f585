"""`python -m tests.measure`: how large gancli is to read, to compare before and after a change.

Lines of Python, and of code alone (without blank lines, docstrings, comments and imports); files; floors, the longest chain
of imports from part to part of the package (see tests/layers.py); lines of the tests; and how many files and functions of
the package three journeys enter: from a folder's pictures to a batch, from `--lr 1e-4` to Adam, and from a loss to table,
metrics and page, of which only those in the parts `report` and `page` count.
"""

import ast
import io
import json
import os
import subprocess
import sys
import tempfile
import tokenize
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from PIL import Image

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "gancli"
NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
SMALL = "--image-size 16 --batch-size 4 --device cpu --threads 1"
JOURNEYS = {
    "pictures of a folder to the batch": f"train -d pics --steps 1 --out a {SMALL} --progress none",
    "--lr 1e-4 to Adam": "train --lr 1e-4 --dry-run",
    "a loss to table, metrics.jsonl and page": f"train --steps 4 --log-every 1 --out b {SMALL} --progress live",
}
REPORTING = ("report", "page")


def code_lines(path: Path) -> int:
    """Lines that hold code other than imports and docstrings."""
    text = path.read_text("utf-8")
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        is_text = (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        )
        if is_text or isinstance(node, ast.Import | ast.ImportFrom):
            left_out |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))  # type: ignore[attr-defined]
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NO_CODE:
            found |= set(range(token.start[0], token.end[0] + 1))
    return len(found - left_out)


def part(name: str) -> str:
    """The folder, or file at the top of the package, that a module belongs to."""
    return name.split(".")[1] if "." in name else ""


def imported(path: Path) -> Iterator[str]:
    """The parts of the package that a file imports."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "gancli":
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (part(name) for name in ([str(node.module)] if "." in str(node.module) else names))


def floors() -> int:
    """How many parts the longest chain of imports goes through."""
    below: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        relative = path.relative_to(PACKAGE)
        own = relative.parts[0].removesuffix(".py")
        if own != "__init__":
            below.setdefault(own, set()).update({*imported(path)} - {own, ""})
    height: dict[str, int] = {}

    def of(name: str) -> int:
        if name not in height:
            height[name] = 0  # a circle, which tests/test_imports.py refuses, would end here
            height[name] = 1 + max((of(other) for other in below.get(name, ())), default=0)
        return height[name]

    return max(map(of, below))


def journey(words: list[str]) -> None:
    """Run `gan` in this process, and print what it entered as JSON: [file, function] each."""
    import threading

    seen: set[tuple[str, str]] = set()

    def enter(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(f"{PACKAGE}{os.sep}") and "<module>" not in code.co_qualname:
            seen.add((os.path.relpath(code.co_filename, PACKAGE), code.co_qualname))

    from gancli.cli.app import main

    threading.setprofile(enter)
    sys.setprofile(enter)
    code = main(words)
    sys.setprofile(None)
    assert code == 0
    sys.stderr.write("\n" + json.dumps(sorted(seen)))


def entered(name: str, place: Path) -> list[tuple[str, str]]:
    """The files and functions of one of `JOURNEYS`, made in a process of its own."""
    command = [sys.executable, "-m", "tests.measure", "--journey", *JOURNEYS[name].split()]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "GAN_DATA": str(place / "data"), "TERM": "xterm"}
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found = [(file, function) for file, function in json.loads(done.stderr.rpartition("\n")[2])]
    if name.startswith("a loss"):
        found = [(file, function) for file, function in found if Path(file).parts[0] in REPORTING]
    return found


def main() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    lines = {path: len(path.read_text("utf-8").splitlines()) for path in files}
    tests = sum(len(path.read_text("utf-8").splitlines()) for path in (ROOT / "tests").rglob("*.py"))
    told = [
        f"gancli/: {sum(lines.values()):,} lines of Python, {sum(map(code_lines, files)):,} of code",
        f"files: {sum(map(bool, lines.values()))}, under 40 lines: {sum(0 < count < 40 for count in lines.values())}",
        f"floors: {floors()}",
        f"tests: {tests:,} lines",
    ]
    print(*told, sep="\n", flush=True)  # noqa: T201
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder).resolve()
        (place / "pics").mkdir()
        for number in range(16):
            Image.effect_noise((40, 40), 20 + number).convert("RGB").save(place / "pics" / f"{number}.png")
        for name in JOURNEYS:
            found = entered(name, place)
            print(f"{name}: {len({file for file, _ in found})} files, {len(found)} functions", flush=True)  # noqa: T201


if __name__ == "__main__":
    journey(sys.argv[2:]) if sys.argv[1:2] == ["--journey"] else main()

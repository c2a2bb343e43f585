"""Imports go one way, and light commands stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import gancli

PACKAGE = Path(gancli.__file__).parent
LAYERS = [
    {"errors", "events", "owner", "locks", "system", "text"},  # these, and nothing else, the next may import
    {"config", "images", "losses", "layers", "augment", "atomic", "pyramid", "vgg", "room"},
    {"data", "variant"},
    {"variants", "catalogue"},
    {"engine", "sampling", "metrics", "report"},
    {"cli", "__main__"},
]
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}


def imported(path: Path) -> set[str]:
    """The parts of gancli that a file imports anywhere in it, first name only; variants with their own name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        modules = []
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        for module in modules:
            parts = module.split(".")
            if parts[0] == "gancli" and len(parts) > 1 and (parts[1] in LAYER):
                found.add(parts[1])
    return found


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem != "__init__")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_imports_its_own_layer_and_below(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for other in imported(path) - {part}:
        assert LAYER[other] <= LAYER[part], f"{part} imports {other}, which lies above it"
        if part in LAYERS[1]:
            assert other in LAYERS[0], f"{part} imports {other}: the first layers stand alone"
        if part == "report":
            assert other in ("events", "errors", "atomic", "text"), f"report imports {other}"
        if part == "variants":
            assert LAYER[other] < LAYER[part], "a variant imports neither another variant nor the catalogue"


def test_layers_cover_every_part() -> None:
    parts = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in FILES}
    assert parts <= set(LAYER), f"new parts without a layer: {parts - set(LAYER)}"


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["--version"],
        ["evaluate", "--help"],
        ["cache"],
        ["variants"],
        ["variants", "vanilla"],
        ["train", "--help"],
    ],
    ids=" ".join,
)
def test_light_commands_do_not_import_torch(args: list[str]) -> None:
    assert_no_torch(args)


def test_inspect_does_not_import_torch(trained: Path) -> None:
    assert_no_torch(["inspect", str(trained)])
    assert_no_torch(["inspect", "--json", "--tensors", str(trained / "ckpt.safetensors")])
    for path in (trained / "ckpt.safetensors", *(trained / "state").iterdir()):
        path.unlink()
    assert_no_torch(["inspect", str(trained)])


def test_completion_does_not_import_torch() -> None:
    code = (
        "import sys; from gancli.cli.train import COMPLETERS; names = COMPLETERS['variant']('van'); "
        "assert names == ['vanilla'], names; assert COMPLETERS['dataset']('mni') == ['mnist']; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def assert_no_torch(args: list[str]) -> None:
    code = (
        f"import sys; from gancli.cli.app import main; code = main({args!r}); "
        "heavy = {'torch', 'torchvision', 'numpy'} & set(sys.modules); "
        "assert code == 0 and not heavy, (code, heavy)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr

"""Imports go one way, and light commands stay light."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import gancli
from tests import layers

PACKAGE = Path(gancli.__file__).parent
FILES = {
    ".".join(("gancli", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imported(name: str) -> set[str]:
    """The files of the package that one imports anywhere in it, in functions and for types too."""
    found = set()
    for node in ast.walk(ast.parse(FILES[name].read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: imports are written out"
            assert node.module
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in FILES else node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {other for other in found if other in FILES} - {name}


def part(name: str) -> str:
    """The folder, or file at the top of the package, that a file belongs to; none: the package itself."""
    return name.split(".")[1] if "." in name else ""


@pytest.mark.parametrize("name", [name for name in FILES if part(name)])
def test_a_file_imports_its_own_layer_and_below(name: str) -> None:
    own = layers.NUMBER[part(name)]
    for other in imported(name) - {"gancli.variants"}:  # an empty package: the place where variants are looked for
        assert part(other), f"{name} imports the package, which imports it; the part that it needs has a name"
        assert layers.NUMBER[part(other)] <= own, f"{name} imports {other}, which lies above it"
        if other != f"{name}_config":  # its options
            assert part(other) != "variants", (
                f"{name} imports {other}: nobody needs a concrete variant, a variant no other"
            )


def test_no_imports_go_in_a_circle() -> None:
    graph = {name: imported(name) for name in FILES}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names one


def test_layers_are_the_parts_there_are_and_what_contributing_shows() -> None:
    assert {part(name) for name in FILES} - {""} <= set(layers.NUMBER)
    assert layers.table() in (PACKAGE.parent / "CONTRIBUTING.md").read_text("utf-8"), "python -m tests.layers"


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["--version"],
        ["evaluate", "--help"],
        ["export", "--help"],
        ["sample", "--help"],
        ["inspect", "digits"],
        ["cache"],
        ["runs"],
        ["variants"],
        ["variants", "--json"],
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
    assert_no_torch(["runs", str(trained)])
    for path in (trained / "ckpt.safetensors", *(trained / "state").iterdir()):
        path.unlink()
    assert_no_torch(["inspect", str(trained)])


def test_report_does_not_import_torch(trained: Path) -> None:
    assert_no_torch(["report", "--help"])
    assert_no_torch(["report", str(trained), "digits", "-o", "page.html"])


def test_completion_does_not_import_torch() -> None:
    code = (
        "import os, sys; os.environ |= {'_GAN_COMPLETE': 'complete_bash', 'COMP_WORDS': 'gan train -v dcgan --nor', "
        "'COMP_CWORD': '4'}; from gancli.cli.app import main; main(); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["--norm"]


def assert_no_torch(args: list[str]) -> None:
    code = (
        f"import sys; from gancli.cli.app import main; code = main({args!r}); "
        "heavy = {'torch', 'torchvision', 'numpy'} & set(sys.modules); "
        "assert code == 0 and not heavy, (code, heavy)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_model_is_loaded_before_anything_was_imported() -> None:
    """Its networks are built without data, on the meta device: what modules make on their import must have some."""
    code = (
        "import sys, torch; from gancli.store import checkpoint; from gancli.store.names import shipped\n"
        "for name in ('srgan-x4', 'digits'): checkpoint.load_model(shipped(name))\n"
        "import gancli.data.leaves\n"
        "ours = [m for name, m in sys.modules.items() if name.startswith('gancli')]\n"
        "made = [(m.__name__, k) for m in ours for k, v in vars(m).items() if isinstance(v, torch.Tensor) and v.is_meta]\n"
        "assert not made, made"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

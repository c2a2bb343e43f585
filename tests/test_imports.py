"""Imports go one way, and commands import nothing heavy that they do not need."""

import ast
import shutil
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from PIL import Image

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


def test_files_import_their_own_layer_and_below() -> None:
    for name in filter(part, FILES):
        for other in imported(name) - {"gancli.variants"}:  # an empty package: where variants are looked for
            assert part(other), f"{name} imports the package, which imports it; the part that it needs has a name"
            assert layers.NUMBER[part(other)] <= layers.NUMBER[part(name)], f"{name} imports {other}, which is above it"
            assert part(other) != "variants" or other == f"{name}_config", f"{name} imports {other}, a concrete variant"


def test_no_imports_go_in_a_circle() -> None:
    graph = {name: imported(name) for name in FILES}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names one


def test_layers_are_the_parts_there_are_and_what_contributing_shows() -> None:
    assert {part(name) for name in FILES} - {""} <= set(layers.NUMBER)
    assert layers.table() in (PACKAGE.parent / "CONTRIBUTING.md").read_text("utf-8"), "python -m tests.layers"


RUN = """
import sys
from gancli.cli.app import main
for line in sys.stdin.read().splitlines():
    print(line, main(line.split()), *(name for name in %r if name in sys.modules), sep=";", file=sys.stderr)
"""
TORCH = ("torch", "torchvision", "numpy", "huggingface_hub", "gradio")
COMPILERS = ("torch._dynamo", "torch._inductor", "sympy")
LIGHT = """\
--help
--version
demo --help
evaluate --help
export --help
sample --help
report --help
train --help
inspect digits
inspect run
inspect --json --tensors run/ckpt.safetensors
inspect empty
cache
datasets --json
runs .
variants
variants --json
variants vanilla
report run digits -o page.html
"""
# A step alone; steps that are replayed; convolutions, sampling, enlarging, resuming, measuring.
NOT_COMPILED = """\
train --steps 1 --out one --progress none --threads 1
train --steps 230 --out many --batch-size 4 --width 8 --inner-width 8 --progress none --threads 1 --log-every 230
train -v dcgan --steps 2 --out dcgan --width 4 --batch-size 4 --progress none --threads 1
train -v lapgan --steps 2 --out lapgan --width 4 --batch-size 4 --progress none --threads 1
train -v dcgan --steps 3 --out dcgan --resume auto --width 4 --batch-size 4 --progress none --threads 1
sample digits -n 1 -o digits.png
sample dcgan -n 1 -o dcgan.png
sample srgan-x4 -i small.png -o large.png
inspect one
inspect dcgan --verify
evaluate one -n 20 --metrics swd
runs .
report one -o one.html
"""


@pytest.mark.parametrize(("commands", "heavy"), [(LIGHT, TORCH), (NOT_COMPILED, COMPILERS)], ids=["torch", "compilers"])
def test_commands_import_nothing_heavy_that_they_do_not_need(
    trained: Path, commands: str, heavy: tuple[str, ...]
) -> None:
    Image.new("RGB", (8, 8), "red").save("small.png")
    empty = Path(shutil.copytree(trained, "empty"))
    for path in (empty / "ckpt.safetensors", *(empty / "state").iterdir()):
        path.unlink()
    command = [sys.executable, "-c", RUN % (heavy,)]
    done = subprocess.run(command, input=commands, capture_output=True, text=True, timeout=240)
    found = [line for line in done.stderr.splitlines() if ";" in line]
    assert found == [f"{line};0" for line in commands.splitlines()], done.stderr


def test_completion_does_not_import_torch() -> None:
    code = (
        "import os, sys; os.environ |= {'_GAN_COMPLETE': 'complete_bash', 'COMP_WORDS': 'gan train -v dcgan --nor', "
        "'COMP_CWORD': '4'}; from gancli.cli.app import main; main(); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["--norm"]


def test_a_model_is_loaded_before_anything_was_imported() -> None:
    """Its networks are built without data, on the meta device: what modules make on their import must have some."""
    code = (
        "import sys, torch; from gancli.store import checkpoint; from gancli.store.pretrained import pretrained_file\n"
        "for name in ('srgan-x4', 'digits'): checkpoint.load_model(pretrained_file(name))\n"
        "import gancli.data.leaves\n"
        "ours = [m for name, m in sys.modules.items() if name.startswith('gancli')]\n"
        "made = [(m.__name__, k) for m in ours for k, v in vars(m).items() if isinstance(v, torch.Tensor) and v.is_meta]\n"
        "assert not made, made"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

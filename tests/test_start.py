"""Commands start soon: they import no compiler where nothing is compiled."""

import subprocess
import sys
from pathlib import Path

from PIL import Image

COMPILERS = ("torch._dynamo", "torch._inductor", "sympy")
SCRIPT = """
import sys
from gancli.cli.app import main
for line in sys.stdin.read().splitlines():
    code = main(line.split())
    print(line, code, *(name for name in %r if name in sys.modules), sep=";", file=sys.stderr)
"""
# A step alone; steps that are replayed; convolutions, drawn, enlarged, resumed, measured.
COMMANDS = """\
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


def test_nothing_that_does_not_compile_imports_a_compiler(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "small.png")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT % (COMPILERS,)], input=COMMANDS, cwd=tmp_path, capture_output=True, text=True
    )
    found = [line for line in done.stderr.splitlines() if line.count(";") >= 1]
    assert found == [f"{line};0" for line in COMMANDS.splitlines()], done.stderr

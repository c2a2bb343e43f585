"""`gan new`: a file to start a variant of one's own from. Imports no torch."""

import ast
import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from gancli import catalogue
from gancli.catalogue import outside
from gancli.catalogue.description import CONFIG_SUFFIX
from gancli.cli import completing, console
from gancli.config import paths
from gancli.errors import GancliError, UsageError, os_problem

TEMPLATE = "new_variant.py.txt"  # beside this file
MAX_COLUMNS = 120


def new(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file to write, such as mygan.py for a variant mygan.")],
    like: Annotated[
        str | None,
        typer.Option("--like", metavar="NAME", show_default="a small convolutional GAN, with comments",
                     help="Start from the code of this variant.", autocompletion=completing.one_of(catalogue.built_in)),
    ] = None,
) -> None:  # fmt: skip
    """Write a variant to start from."""
    if not outside.is_file(file):
        raise UsageError(f"FILE {file}: must end with .py")
    path = paths.expanded(file, "FILE")
    name = catalogue.check_new(file)
    text = Path(__file__).with_name(TEMPLATE).read_text("utf-8") if like is None else source_of(like)
    try:
        with path.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise UsageError(f"FILE {file}: exists; choose another name, or remove it") from None
    except OSError as error:
        raise GancliError(os_problem(f"FILE {file}", "written", error)) from error
    console.print_path(path)
    word = outside.as_path(path)
    console.print_message(f"next: gan check {word}, then gan train -v {word} (it is the variant {name})")


def source_of(name: str) -> str:
    """Return the code of one of gan's own variants as one file: that of its options and of its networks, with the imports of
    both at the top. Raises `UsageError`."""
    if name not in catalogue.built_in():
        raise UsageError(f"--like {name}: must be one of {', '.join(catalogue.built_in())}")
    sources = []
    for module in (f"gancli.variants.{name}{CONFIG_SUFFIX}", f"gancli.variants.{name}"):
        found = importlib.util.find_spec(module)
        if found is not None and found.origin is not None:
            sources.append(Path(found.origin).read_text("utf-8"))
    docstring = ast.get_docstring(ast.parse(sources[0]), clean=False)
    bodies, imports = [], list[ast.stmt]()
    for source in sources:
        tree, lines = ast.parse(source), source.splitlines()
        statements = tree.body[1:]  # without the docstring
        count = next(i for i, each in enumerate(statements) if not isinstance(each, ast.Import | ast.ImportFrom))
        imports += statements[:count]
        end = statements[count - 1].end_lineno or 0
        bodies.append("\n".join(lines[end:]).strip())
    own = f"gancli.variants.{name}{CONFIG_SUFFIX}"
    head = "\n".join(_imports(each for each in imports if getattr(each, "module", "") != own))
    return f'"""{docstring}"""\n\n{head}\n\n' + "\n\n\n".join(bodies) + "\n"


def _imports(statements: Iterable[ast.stmt]) -> list[str]:
    """Return import statements, each module once: the standard library's, torch's and gan's, with blank lines between."""
    lines, names = set[str](), dict[str, set[str]]()
    for each in statements:
        if isinstance(each, ast.ImportFrom):
            names.setdefault(str(each.module), set()).update(map(ast.unparse, each.names))
        elif isinstance(each, ast.Import):
            lines |= {f"import {ast.unparse(alias)}" for alias in each.names}
    for module, own in names.items():
        line = f"from {module} import {', '.join(sorted(own))}"
        wrapped = f"from {module} import (\n" + "".join(f"    {name},\n" for name in sorted(own)) + ")"
        lines.add(line if len(line) <= MAX_COLUMNS else wrapped)
    groups: dict[str, list[str]] = {"": [], "torch": [], "gancli": []}
    for line in sorted(lines, key=lambda line: (line.startswith("from"), line)):
        top = line.split()[1].partition(".")[0]
        groups[top if top in groups else ""].append(line)
    return [line for group in groups.values() for line in ("", *group)][1:]

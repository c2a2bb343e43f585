"""Makes docs/reference.md, the Python API, from signatures and docstrings. `python -m tests.docs.pages` writes it."""

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Iterator, Sequence
from functools import cached_property
from types import FunctionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import gancli
from gancli import catalogue, errors, events
from gancli.api import option_types
from gancli.config import RunConfig, fields_of
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "reference.md"
HEAD = """# Python API

This page is generated from the signatures and docstrings (`python -m tests.docs.pages`). You can run the examples in order.
[Using gan from Python](python.md) introduces the package.
"""
# One example each; they run in this order, in one folder.
EXAMPLES = {
    "train": """\
import gancli

run = gancli.train("cgan", dataset="digits", steps=20, out="runs/cgan")
print(run.status, run.rows[-1].terms["d_loss"])
""",
    "training": """\
for event in gancli.training("vanilla", steps=20, log_every=5, out="runs/vanilla"):
    if isinstance(event, gancli.events.LossRow):
        print(event.step, event.terms)
""",
    "load": """\
model = gancli.load("runs/cgan", device="cpu")
""",
    "evaluate": """\
metrics = gancli.evaluate(["runs/cgan", "runs/vanilla"], dataset="digits", n=100, metrics="swd")
print(metrics[0])
""",
    "runs": """\
for found in gancli.runs("runs"):
    print(found.path, found.state, found.step)
""",
    "write_report": """\
gancli.write_report(["runs/cgan", "runs/vanilla"], "both.html", over="time")
""",
    "Model": """\
model.sample(8, label=7, seed=0).save("sevens.png")
model.export("cgan.pt2")
upscaler = gancli.load("srgan-x4")
large = upscaler.enlarge(model.sample(1).pixels[0])
""",
    "GancliError": """\
try:
    gancli.load("runs/cgan").sample(0)
except gancli.GancliError as error:
    print(error)  # n=0: must be at least 1 and at most 1000000
""",
}
COMMANDS = {"evaluate": "evaluate", "runs": "runs", "write_report": "report", "sample": "sample", "export": "export"}
INTERNAL = {"after", "loaded", "of", "order"}  # public by name alone


def page() -> str:
    """The page, as Markdown."""
    exported = {name: getattr(gancli, name) for name in gancli.__all__}
    functions = {name: exported[name] for name in EXAMPLES if isinstance(exported[name], FunctionType)}
    assert {name for name, value in exported.items() if isinstance(value, FunctionType)} == {*functions}
    classes = [value for value in exported.values() if isinstance(value, type) and not issubclass(value, Exception)]
    parts = [HEAD, "## Functions\n"]
    for name, function in functions.items():
        parts += [f"### gancli.{name}\n", *_function(f"gancli.{name}", function), *_example(name)]
        parts += _train_options() if name == "train" else []
    parts += ["## Classes\n"]
    for found in classes:
        parts += [*_class(found, f"gancli.{found.__name__}"), *_example(found.__name__)]
    parts += ["## Results\n", "What the functions and classes above return.\n"]
    for found in _returned([*functions.values(), *classes]):
        parts += _class(found, found.__name__)
    parts += [*_events(), *_errors(), *_constants(), *_types()]
    return "\n".join(parts).rstrip() + "\n"


def _function(name: str, function: Any) -> Iterator[str]:
    """The signature with the types as the source writes them, and the docstring."""
    node = _source(inspect.unwrap(function))
    assert isinstance(node, ast.FunctionDef)
    parameters, returns = _parameters(node.args, function), ast.unparse(node.returns or ast.Constant(None)).strip("'")
    line = f"{name}({', '.join(parameters)}) -> {returns}"
    if len(line) > 100:
        line = f"{name}(\n{''.join(f'    {parameter},{chr(10)}' for parameter in parameters)}) -> {returns}"
    yield f"```py\n{line}\n```\n"
    yield _text(function)
    command = COMMANDS.get(function.__name__)
    if command:
        yield f"See the options of [gan {command}](commands.md#gan-{command}).\n"


def _parameters(arguments: ast.arguments, function: Any) -> list[str]:
    """The parameters without `self`, each as `name: type = default`."""
    values = inspect.signature(function).parameters
    found = list[str]()
    for each in [*arguments.args, *([None] if arguments.kwonlyargs else []), *arguments.kwonlyargs]:
        if each is None:
            found.append("*")
        elif each.arg != "self":
            default = values[each.arg].default
            found.append(ast.unparse(each) + ("" if default is inspect.Parameter.empty else f" = {default!r}"))
    found += [f"**{ast.unparse(arguments.kwarg)}"] if arguments.kwarg else []
    return [_quoted(each) for each in found]


def _source(found: Any) -> ast.stmt:
    return ast.parse(textwrap.dedent(inspect.getsource(found))).body[0]


def _text(found: Any) -> str:
    text = inspect.cleandoc(found.__doc__ or "")
    assert text, f"{found} has no docstring"
    return text + "\n"


def _example(name: str) -> list[str]:
    return [f"```python\n{EXAMPLES[name]}```\n"] if name in EXAMPLES else []


def _class(found: type, name: str) -> Iterator[str]:
    """The docstring, a table of attributes, and the methods."""
    yield f"### {name}\n"
    yield _text(found)
    yield from _attributes(found)
    for method, value in vars(found).items() if name.startswith("gancli.") else ():
        if isinstance(value, FunctionType) and not method.startswith("_") and method not in INTERNAL:
            yield f"#### {found.__name__}.{method}\n"
            yield from _function(f"{found.__name__}.{method}", value)


def _attributes(found: type) -> Iterator[str]:
    """Fields, attributes that `__init__` annotates, and properties."""
    node, rows, lines = _source(found), dict[str, tuple[str, str]](), inspect.getsource(found).splitlines()
    assert isinstance(node, ast.ClassDef)
    for each in ast.walk(node):
        if isinstance(each, ast.AnnAssign) and (each in node.body or isinstance(each.target, ast.Attribute)):
            comment = lines[each.lineno - 1].partition("  # ")[2]
            rows[ast.unparse(each.target).removeprefix("self.")] = (ast.unparse(each.annotation), comment)
        elif isinstance(each, ast.FunctionDef) and isinstance(vars(found).get(each.name), property | cached_property):
            assert each.returns
            rows[each.name] = (ast.unparse(each.returns), " ".join((ast.get_docstring(each) or "").split()))
    shown = {name: row for name, row in rows.items() if not name.startswith("_") and name not in INTERNAL}
    hints = get_type_hints(found)
    kinds = {name: _literal(hints.get(name)) or kind for name, (kind, _) in shown.items()}
    if shown and not any(text for _, text in shown.values()):
        yield "Attributes: " + ", ".join(f"`{name}: {_quoted(kind)}`" for name, kind in kinds.items()) + ".\n"
    elif shown:
        yield "| attribute | type | description |\n| --- | --- | --- |"
        for name, kind in kinds.items():
            cell = " or ".join(f"`{each}`" for each in _quoted(kind).split(" | "))  # a bar would end it
            yield f"| `{name}` | {cell} | {shown[name][1]} |"
        yield ""


def _literal(hint: Any) -> str:
    """The choices of a `Literal`, which the source names by an alias; else nothing."""
    return f"Literal[{', '.join(map(repr, get_args(hint)))}]" if get_origin(hint) is Literal else ""


def _quoted(code: str) -> str:
    """Source with the quotes of this project, which `ast.unparse` replaces."""
    return code.replace("'", '"')


def _train_options() -> Iterator[str]:
    """The options with their types: those of every run, then those of each variant."""
    kinds = {node.target.id: ast.unparse(node.annotation) for node in _source(option_types.TrainOptions).body}  # type: ignore[attr-defined]
    shared = ["config", "resume", *(field.name for field in fields_of(RunConfig) if field.name != "variant")]
    groups = {"[every variant](commands.md#gan-train)": shared}
    for name in catalogue.built_in():
        own = [field.name for field in fields_of(catalogue.variant_info(name).config_class)]
        groups[f"[{name}](commands.md#options-of-{name})"] = own
    yield "The options by variant, with their types; the links lead to their meanings, ranges and defaults.\n"
    yield "| variant | options |\n| --- | --- |"
    for link, names in groups.items():
        cells = (f"`{name}: {kinds[name].removesuffix(' | None')}`" for name in names)
        yield f"| {link} | {_quoted(', '.join(cells))} |"
    yield ""


def _returned(exported: Sequence[Any]) -> Iterator[type]:
    """The package's own classes that functions, methods and properties of `exported` return, and those of their fields."""
    known = {"VariantConfig", *(each.__name__ for each in exported)}  # its fields are options of `train`
    waiting = list(exported)
    for given in waiting:
        members = [value for name, value in vars(given).items() if not name.startswith("_") and name not in INTERNAL]
        getters = [getattr(value, "fget", value) for value in members] if given in exported else []
        callables = [each for each in (given, *getters) if isinstance(each, FunctionType)]
        hints = [get_type_hints(each).get("return") for each in callables]
        if isinstance(given, type):
            hints += [hint for name, hint in get_type_hints(given).items() if name not in INTERNAL]
        for found in (each for hint in hints for each in (hint, *get_args(hint))):
            ours = isinstance(found, type) and found.__module__.startswith("gancli.")
            if ours and found.__module__ != "gancli.events" and found.__name__ not in known:
                known.add(found.__name__)
                waiting.append(found)
                yield found


def _events() -> Iterator[str]:
    yield "## Events\n"
    yield "`gancli.training` yields these, and `on_event` is called with them. They are dataclasses in `gancli.events`.\n"
    for found in vars(events).values():
        if isinstance(found, type) and dataclasses.is_dataclass(found) and found is not events.Event:
            yield from _class(found, f"events.{found.__name__}")


def _errors() -> Iterator[str]:
    yield "## Errors\n"
    yield "Every error is a `gancli.GancliError`, with one line as its message. Its subclasses are in `gancli.errors`.\n"
    yield from _example("GancliError")
    yield "| error | base | exit code of `gan` | meaning |\n| --- | --- | --- | --- |"
    for name, found in vars(errors).items():
        if isinstance(found, type) and issubclass(found, errors.GancliError):
            text = " ".join(_text(found).split())
            yield f"| `{name}` | `{found.__base__.__name__}` | {found.exit_code} | {text} |"  # type: ignore[union-attr]
    yield ""


def _constants() -> Iterator[str]:
    yield "## Constants\n"
    yield '- `gancli.__version__`: the version, such as `"0.1.0"`.'
    yield "- `gancli.CPUS`: `frozenset[int]`, the CPUs that this process may use.\n"


def _types() -> Iterator[str]:
    """The names of types that signatures use."""
    yield "## Types in signatures\n"
    yield "| name | accepts |\n| --- | --- |"
    yield from (f"| {name} | {text} |" for name, text in TYPES.items())


TYPES = {
    "`Int`, `Float`": "a Python number, or one of NumPy or torch",
    "`Path`, `PathLike`": "`str` or `os.PathLike[str]`; a finished `Run`, a `Model`, an entry of `gancli.runs`",
    "`Time`": 'a text such as `"1h30m"`, a number of seconds, or a `datetime.timedelta`',
    "`Picture`": "a Pillow image of any mode, a uint8 array `[H, W]` or `[H, W, C]`, or a uint8 tensor `[C, H, W]`",
    "`OnEvent`": "a function that takes an [event](#events)",
    "`Tensor`, `Image`": "`torch.Tensor`, `PIL.Image.Image`",
}

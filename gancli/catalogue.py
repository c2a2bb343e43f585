"""The variants there are: the files of `gancli/variants/`, read without importing them, since they import torch.

A variant's file is its own page: the first paragraph of its docstring is its title, a `Paper:` line names the source, the
rest describes it, and `class Config(VariantConfig)` has its options. `card()` parses the file and runs nothing of it but
that class, so `gan --help`, `gan variants` and Tab completion answer at once.
"""

import ast
import copyreg
import dataclasses
import functools
import importlib
import pkgutil
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import gancli.variants
from gancli.config import RunConfig, VariantConfig, fields_of, game, meanings, option
from gancli.errors import UsageError

if TYPE_CHECKING:
    from gancli.variant import Variant


@dataclass(frozen=True)
class Card:
    """What a variant's file says of itself."""

    name: str
    title: str
    paper: str
    description: str
    config_class: type[VariantConfig]
    presets: Mapping[str, Mapping[str, object]]


def names() -> tuple[str, ...]:
    """The variants' names, in alphabetical order."""
    return _listed(tuple(gancli.variants.__path__))


@functools.cache
def _listed(folders: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(module.name for module in pkgutil.iter_modules(folders)))


def check_name(name: str, file: str = "") -> str:
    """`name`, if there is such a variant; else `UsageError` with the near miss, or `missing` for one that `file` names."""
    if name not in names():
        hint = meanings.of_value("--variant", name, names())
        none = f"--variant {name}: no such variant; there are {', '.join(names())}{hint}"
        raise UsageError(missing(name, file) if file else none)
    return name


def missing(name: str, file: str) -> str:
    """The error for a file that names a variant which is not there."""
    return (
        f"{file}: names the variant {name[:80]!r}, which this gan does not have (it has {', '.join(names())}); use the gan "
        "that wrote the file, or add that variant to it (docs/adding-a-variant.md)"
    )


def card(name: str) -> Card:
    """The catalogue's page of one variant. Raises `UsageError` for an unknown name."""
    check_name(name)
    (path,) = (p for p in (Path(folder, f"{name}.py") for folder in gancli.variants.__path__) if p.exists())
    return _read_card(name, path)


@functools.cache
def _read_card(name: str, path: Path) -> Card:
    tree = ast.parse(path.read_text("utf-8"), str(path))
    docstring = ast.get_docstring(tree) or name
    paragraphs = [" ".join(p.split()) for p in docstring.split("\n\n")]
    papers = [p.removeprefix("Paper:").strip() for p in paragraphs if p.startswith("Paper:")]
    described = [p for p in paragraphs[1:] if not p.startswith("Paper:")]
    config_class = _config_class(tree, path)
    _check_presets(name, config_class)
    return Card(name, paragraphs[0], " ".join(papers), "\n\n".join(described), config_class, config_class.presets)


def _config_class(tree: ast.Module, path: Path) -> type[VariantConfig]:
    (definition,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Config")
    alone = ast.Module(body=[definition], type_ignores=[])
    names = {
        "VariantConfig": VariantConfig,
        "UsageError": UsageError,
        "option": option,
        "game": game,
        "dataclass": dataclasses.dataclass,
        "ClassVar": typing.ClassVar,
        "Literal": typing.Literal,
        "Mapping": Mapping,
        "__name__": f"gancli.variants.{path.stem}",
    }
    exec(compile(alone, str(path), "exec"), names)
    config_class = names["Config"]
    assert isinstance(config_class, type)
    assert issubclass(config_class, VariantConfig)
    # A class that no module has pickles by the name of its variant; a process that reads it may not have made it yet.
    copyreg.pickle(config_class, lambda config: (_config, (path.stem, dataclasses.asdict(config))))
    return config_class


def _config(name: str, values: dict[str, object]) -> VariantConfig:
    return card(name).config_class(**values)


def _check_presets(name: str, config_class: type[VariantConfig]) -> None:
    known = {field.name: field for field in (*fields_of(RunConfig), *fields_of(config_class))}
    for preset, values in config_class.presets.items():
        for key, value in values.items():
            assert key in known, f"preset {preset} of {name} sets {key}, which is no option"
            known[key].check(value)


def load(name: str) -> "type[Variant]":
    """The variant's class; imports its file, and torch with it. Raises `UsageError` for an unknown name."""
    from gancli.variant import Variant

    module = importlib.import_module(f"gancli.variants.{check_name(name)}")
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Variant) and value.__module__ == module.__name__
    ]
    assert len(found) == 1, f"{module.__file__} must define one Variant, not {len(found)}"
    return found[0]

"""The variants: the modules of `gancli/variants/`, by name.

A variant `NAME` has its options, `class Config(VariantConfig)`, in `NAME_config.py`, which imports no torch, so that help,
`gan variants` and Tab completion answer at once; and its networks and step, a `Variant`, in `NAME.py`. A variant may also be
one file, `NAME.py`, with both. The docstring beside `Config` is the variant's page: the first paragraph is its title, a
`Paper:` line names the source, the rest describes it.
"""

import ast
import functools
import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import gancli.variants
from gancli.config import Field, VariantConfig, fields_of, suggestions
from gancli.errors import UsageError

if TYPE_CHECKING:
    from gancli.variant import Variant

OPTIONS = "_config"  # ends the name of the module with a variant's options


@dataclass(frozen=True)
class Card:
    """A variant's page and options."""

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
    modules = (module.name for module in pkgutil.iter_modules(folders))
    return tuple(sorted(name for name in modules if not name.endswith(OPTIONS)))


def check_name(name: str, file: str = "") -> str:
    """`name`, if there is such a variant; else `UsageError` with the near miss, or `missing` for one that `file` names."""
    if name not in names():
        hint = suggestions.of_value("--variant", name, names())
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
    """A variant's page and options, without torch for those in two modules. Raises `UsageError` for an unknown name."""
    return _card(check_name(name))


@functools.cache
def _card(name: str) -> Card:
    module = _options_module(name)
    docstring = ast.get_docstring(ast.parse(inspect.getsource(module)))  # `python -OO` leaves `__doc__` out
    paragraphs = [" ".join(paragraph.split()) for paragraph in (docstring or name).split("\n\n")]
    papers = [p.removeprefix("Paper:").strip() for p in paragraphs if p.startswith("Paper:")]
    described = [p for p in paragraphs[1:] if not p.startswith("Paper:")]
    config_class: type[VariantConfig] = module.Config
    return Card(name, paragraphs[0], " ".join(papers), "\n\n".join(described), config_class, config_class.presets)


def _options_module(name: str) -> ModuleType:
    options = f"{_module_name(name)}{OPTIONS}"
    return importlib.import_module(options if importlib.util.find_spec(options) else _module_name(name))


def _module_name(name: str) -> str:
    """The module of a variant: here a variant that is a file of its own (`--variant ./mygan.py`) would get one."""
    return f"gancli.variants.{name}"


def own_options(variants: Iterable[str]) -> dict[str, dict[str, Field]]:
    """The own options of some variants, by name and then by variant."""
    found: dict[str, dict[str, Field]] = {}
    for variant in variants:
        for field in fields_of(card(variant).config_class):
            found.setdefault(field.name, {})[variant] = field
    return found


def load(name: str) -> "type[Variant]":
    """The variant's class; imports torch. Raises `UsageError` for an unknown name."""
    from gancli.variant import Variant

    module = importlib.import_module(_module_name(check_name(name)))
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Variant) and value.__module__ == module.__name__
    ]
    assert len(found) == 1, f"{module.__file__} must define one Variant, not {len(found)}"
    return found[0]

"""Finds the variants, which are the modules of `gancli/variants/`, by name.

A variant `NAME` has its options, `class Config(VariantConfig)`, in `NAME_config.py`, which imports no torch, so that
help, `gan variants` and Tab completion are fast; and its networks and step, one subclass of `Variant`, in `NAME.py`. A
variant may also be one file, `NAME.py`, with both. The docstring of the module with `Config` describes the variant: the
first paragraph is the title, a paragraph that begins with `Paper:` names the source, the rest is the description.
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

CONFIG_SUFFIX = "_config"  # of the module with a variant's options


@dataclass(frozen=True)
class VariantInfo:
    """The description and the options of a variant, without its networks."""

    name: str
    title: str
    paper: str
    description: str
    config_class: type[VariantConfig]
    presets: Mapping[str, Mapping[str, object]]


def names() -> tuple[str, ...]:
    """Return the names of the variants, in alphabetical order."""
    return _names_in(tuple(gancli.variants.__path__))


@functools.cache
def _names_in(folders: tuple[str, ...]) -> tuple[str, ...]:
    modules = (module.name for module in pkgutil.iter_modules(folders))
    return tuple(sorted(name for name in modules if not name.endswith(CONFIG_SUFFIX)))


def check_name(name: str, file: str = "") -> str:
    """Return `name` if it is a variant. Otherwise raises `UsageError`, with the nearest name or, if a `file` names the
    variant, `unknown_variant_message`."""
    if name not in names():
        hint = suggestions.of_value("--variant", name, names())
        unknown = f"--variant {name}: no such variant; there are {', '.join(names())}{hint}"
        raise UsageError(unknown_variant_message(name, file) if file else unknown)
    return name


def unknown_variant_message(name: str, file: str) -> str:
    """Return the error message for a file that names an unknown variant."""
    return (
        f"{file}: names the variant {name[:80]!r}, which this gan does not have (it has {', '.join(names())}); use the gan "
        "that wrote the file, or add that variant to it (docs/adding-a-variant.md)"
    )


def variant_info(name: str) -> VariantInfo:
    """Return the description and options of a variant; imports no torch if they have a module of their own. Raises
    `UsageError` for an unknown name."""
    return _read_info(check_name(name))


@functools.cache
def _read_info(name: str) -> VariantInfo:
    module = _config_module(name)
    docstring = ast.get_docstring(ast.parse(inspect.getsource(module)))  # `python -OO` leaves `__doc__` out
    title, *others = [" ".join(paragraph.split()) for paragraph in (docstring or name).split("\n\n")]
    papers = " ".join(each.removeprefix("Paper:").strip() for each in others if each.startswith("Paper:"))
    description = "\n\n".join(each for each in others if not each.startswith("Paper:"))
    config_class: type[VariantConfig] = module.Config
    return VariantInfo(name, title, papers, description, config_class, config_class.presets)


def _module_name(name: str) -> str:
    """Return the full name of a variant's module: the only place that says where it is."""
    return f"gancli.variants.{name}"


def _config_module(name: str) -> ModuleType:
    """Import the module with a variant's options: its own, or else the variant's."""
    module = _module_name(name) + CONFIG_SUFFIX
    return importlib.import_module(module if importlib.util.find_spec(module) else _module_name(name))


def variant_options(variants: Iterable[str]) -> dict[str, dict[str, Field]]:
    """Return the options that belong to these variants, by option name and then by variant."""
    found: dict[str, dict[str, Field]] = {}
    for variant in variants:
        for field in fields_of(variant_info(variant).config_class):
            found.setdefault(field.name, {})[variant] = field
    return found


def load(name: str) -> "type[Variant]":
    """Return the class of a variant; imports torch. Raises `UsageError` for an unknown name."""
    from gancli.variant import Variant

    module = importlib.import_module(_module_name(check_name(name)))
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Variant) and value.__module__ == module.__name__
    ]
    assert len(found) == 1, f"{module.__file__} must define one Variant, not {len(found)}"
    return found[0]

"""The description and the options of a variant: from the module with its `Config`, without its networks."""

import ast
import functools
import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

from gancli.catalogue import outside
from gancli.catalogue.outside import Origin
from gancli.config import VariantConfig

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
    origin: Origin


def describe(name: str, docstring: str | None, config_class: type[VariantConfig], origin: Origin) -> VariantInfo:
    """Return the description in the docstring of a variant: the first paragraph is its title, one that begins with `Paper:`
    its source."""
    paragraphs = [" ".join(paragraph.split()) for paragraph in (docstring or name).split("\n\n")]
    papers = [p.removeprefix("Paper:").strip() for p in paragraphs if p.startswith("Paper:")]
    described = [p for p in paragraphs[1:] if not p.startswith("Paper:")]
    return VariantInfo(
        name, paragraphs[0], " ".join(papers), "\n\n".join(described), config_class, config_class.presets, origin
    )


def docstring_of(source: str | bytes) -> str | None:
    """Return the docstring of a module, by its source."""
    return ast.get_docstring(ast.parse(source))  # `python -OO` leaves `__doc__` out


def import_config_module(module: str, origin: Origin | None = None) -> ModuleType:
    """Import the module with the options of the variant in `module`: `NAME_config`, or else `NAME` itself. `origin`: of an
    installed package; None: gan's own. Raises `VariantError`."""
    load = importlib.import_module if origin is None else functools.partial(outside.import_package, origin)
    package, options = module.rpartition(".")[0], f"{module}{CONFIG_SUFFIX}"
    if package:
        load(package)  # as `find_spec` would, but with its errors explained
    return load(options if package and importlib.util.find_spec(options) else module)

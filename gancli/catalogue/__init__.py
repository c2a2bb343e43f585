"""Finds the variants by name: the modules of `gancli/variants/`, and those from outside of gan (`outside`).

A variant `NAME` has its options, `class Config(VariantConfig)`, in `NAME_config.py`, which imports no torch, so that
help, `gan variants` and Tab completion are fast; and its networks and step, one subclass of `Variant`, in `NAME.py`. A
variant may also be one file, `NAME.py`, with both. The docstring of the module with `Config` describes the variant: the
first paragraph is the title, a paragraph that begins with `Paper:` names the source, the rest is the description.

A variant from outside is a file (`--variant ./mygan.py`, `GAN_VARIANTS`), an installed package with an entry point, or a
class given from Python. It is imported when its options or its class are asked for, and never because a checkpoint or
`config.toml` names it.
"""

import dataclasses
import functools
import importlib
import importlib.util
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import gancli.variants
from gancli.catalogue import declaration, outside
from gancli.catalogue.description import CONFIG_SUFFIX, VariantInfo, describe, docstring_of, import_config_module
from gancli.catalogue.outside import Origin
from gancli.config import Field, RunConfig, VariantConfig, fields_of, suggestions, toml
from gancli.config.run import TrainCommandConfig
from gancli.errors import UsageError, VariantError, shell_quoted

if TYPE_CHECKING:
    from gancli.variant import Variant


@dataclass(frozen=True)
class _Imported:
    """A variant from outside that was imported; a package's class is looked for when it is needed, as it takes torch."""

    origin: Origin
    info: VariantInfo
    module: ModuleType
    variant_class: "type[Variant] | None" = None


_given: dict[str, Origin] = {}  # files and classes that this process was given, by name
_imported: dict[str, _Imported] = {}


def built_in() -> tuple[str, ...]:
    """Return the names of gan's own variants, in alphabetical order."""
    return _names_in(tuple(gancli.variants.__path__))


def names() -> tuple[str, ...]:
    """Return the names of all variants, in alphabetical order: gan's own, those given to this process or in `GAN_VARIANTS`,
    and those of installed packages, but for names that several give."""
    packaged = (name for name, origins in outside.packages().items() if len(origins) == 1)
    return tuple(sorted({*built_in(), *_given, *outside.environment_files(), *packaged}))


def known_names() -> tuple[str, ...]:
    """Return the names of gan's own variants, and of those from outside that this process has imported. Imports nothing."""
    own = built_in()
    return (*own, *sorted(set(_imported) - set(own)))


@functools.cache
def _names_in(folders: tuple[str, ...]) -> tuple[str, ...]:
    modules = (module.name for module in pkgutil.iter_modules(folders))
    return tuple(sorted(name for name in modules if not name.endswith(CONFIG_SUFFIX)))


def conflicts() -> list[str]:
    """Return a message for each name of an installed variant that cannot be used, as something else has it."""
    found = []
    for name, origins in outside.packages().items():
        if name in built_in():
            found.append(f"{name} of {origins[0]}: is a variant of gan's own; rename its entry point")
        elif len(origins) > 1:
            found.append(_several(name, origins))
    return found


def _several(name: str, origins: Iterable[Origin]) -> str:
    return f"{name}: is given by {' and by '.join(map(str, origins))}; uninstall or rename all but one"


def resolve(word: str, flag: str = "--variant") -> str:
    """Return the name of the variant that a value of `--variant` gives: a name, or the path of a file, which is then known
    by its name. A file is imported anew if it has changed. Raises `UsageError`."""
    if not outside.is_file(word):
        return word
    name, origin = outside.file_origin(word, flag)
    try:
        outside.read(origin)
    except VariantError as error:
        raise UsageError(f"{flag} {error}") from None
    return _add(name, origin, f"{flag} {word}")


def check_new(word: str) -> str:
    """Return the name of the variant that a new file would have. Raises `UsageError` if it cannot have it."""
    name, _ = outside.file_origin(word, "FILE")
    _check_free(name, f"FILE {word}")
    return name


def _check_free(name: str, what: str) -> None:
    if name in built_in():
        raise UsageError(f"{what}: {name} is a variant of gan's own; give yours another name")
    options = {field.name for config in (RunConfig, TrainCommandConfig) for field in fields_of(config)}
    if name in options | {toml.CHOSEN, toml.ORIGIN}:
        raise UsageError(f"{what}: {name} is the name of an option; give the variant another name")


def _add(name: str, origin: Origin, what: str) -> str:
    """Make a variant from outside known to this process, and return its name. `what` names it in the `UsageError` for a name
    that another variant has."""
    _check_free(name, what)
    given = [before for before in (_given.get(name),) if before is not None and before.path != origin.path]
    if others := [*outside.packages().get(name, ()), *given]:
        raise UsageError(f"{what}: {_several(name, [origin, *others])}")
    _given[name] = origin
    imported = _imported.get(name)
    if imported and origin.path and imported.origin.sha256 != outside.read(origin)[0].sha256:
        del _imported[name]
    return name


def check_name(name: str, file: str = "", recorded: Mapping[str, object] | None = None) -> str:
    """Return `name` if it is a variant. Otherwise raises `UsageError`, with the nearest name or, if a `file` names the
    variant, with the way to its code."""
    if name in built_in():
        return name
    origins = _origins(name)
    if len(origins) > 1:
        raise UsageError(_several(name, origins))
    if not origins:
        hint = suggestions.of_value("--variant", name, names())
        if not hint and Path(f"{name}{outside.SUFFIX}").is_file():
            hint = f" (did you mean ./{name}{outside.SUFFIX}?)"
        unknown = f"--variant {name}: no such variant; there are {', '.join(names())}{hint}"
        raise UsageError(outside.missing_code(name, file, recorded or {}, names()) if file else unknown)
    return name


def _origins(name: str) -> list[Origin]:
    """Return where a variant from outside of gan may come from. Raises `UsageError`."""
    found = [*outside.packages().get(name, ())]
    if path := outside.environment_files().get(name):
        found.append(outside.file_origin(str(path), outside.FILES)[1])
    if name in _given and _given[name].path not in [origin.path for origin in found if origin.kind == "file"]:
        found.append(_given[name])
    return found


def origin_of(name: str) -> Origin:
    """Return where the code of a variant comes from. Raises `UsageError` for an unknown name."""
    if is_own(check_name(name)):
        return Origin("gan", f"gancli.variants.{name}")
    return _imported[name].origin if name in _imported else _given.get(name) or _origins(name)[0]


def is_own(name: str) -> bool:
    """Return whether a variant is one of gan's own."""
    return name in built_in()


def word_of(name: str) -> str:
    """Return the value of `--variant` that names a variant again: its name, or the path of its file."""
    if is_own(name) or name not in _given:
        return name
    path = _given[name].path
    return name if path is None else outside.shown(path)


def flag_of(name: str) -> str:
    """Return ` -v ./mygan.py` for a variant of a file, which a command that reads a checkpoint must be given again; `""` for
    any other."""
    word = word_of(name)
    return "" if word == name else f" -v {shell_quoted(outside.as_path(Path(word)))}"


def variant_info(name: str) -> VariantInfo:
    """Return the description and options of a variant; imports no torch if they have a module of their own. Raises
    `UsageError` for an unknown name, and `VariantError` for code from outside that is wrong."""
    return _read_info(name) if is_own(check_name(name)) else _from_outside(name).info


def title_of(name: str) -> str:
    """Return the title of a variant whose code was imported, or is gan's own; `""` for any other."""
    return variant_info(name).title if name in known_names() else ""


@functools.cache
def _read_info(name: str) -> VariantInfo:
    module = import_config_module(f"gancli.variants.{name}")
    config_class: type[VariantConfig] = module.Config
    return describe(
        name, docstring_of(inspect.getsource(module)), config_class, Origin("gan", f"gancli.variants.{name}")
    )


def _from_outside(name: str) -> _Imported:
    """Import a variant from outside, once. Raises `VariantError`."""
    if name in _imported:
        return _imported[name]
    origin = origin_of(name)
    if origin.kind == "package":
        module = import_config_module(origin.module, origin)
        file = getattr(module, "__file__", None)
        docstring = module.__doc__ if file is None else docstring_of(Path(file).read_bytes())
    else:
        assert origin.path is not None, "a class given from Python is imported"
        origin, source = outside.read(origin)
        module = outside.import_file(origin, source)
        docstring = docstring_of(source)
    config_class = declaration.config_of(module, origin)
    found = _Imported(origin, describe(name, docstring, config_class, origin), module)
    _imported[name] = found
    return found


def variant_options(variants: Iterable[str]) -> dict[str, dict[str, Field]]:
    """Return the options that belong to these variants, by option name and then by variant."""
    found: dict[str, dict[str, Field]] = {}
    for variant in variants:
        for field in fields_of(variant_info(variant).config_class):
            found.setdefault(field.name, {})[variant] = field
    return found


def load(name: str) -> "type[Variant]":
    """Return the class of a variant; imports torch. Raises `UsageError` for an unknown name, and `VariantError` for code
    from outside that does not keep to the contract."""
    if is_own(check_name(name)):
        module = importlib.import_module(f"gancli.variants.{name}")
        found = declaration.variants_in(module)
        assert len(found) == 1, f"{module.__file__} must define one Variant, not {len(found)}"
        return found[0]
    imported = _from_outside(name)
    if imported.variant_class is None:
        module, origin = imported.module, imported.origin
        if origin.kind == "package":
            module = outside.import_package(origin, origin.module)
            origin = outside.with_sha256(origin)
        variant_class = declaration.only_variant(module, origin)
        declaration.check_class(variant_class, origin)
        info = dataclasses.replace(imported.info, origin=origin)
        imported = _imported[name] = _Imported(origin, info, module, variant_class)
    assert imported.variant_class is not None
    return imported.variant_class


def add_class(variant_class: "type[Variant]") -> str:
    """Make a class given from Python known, and return the name of its variant: that of its file, or else of the class in
    lower case. Raises `UsageError` and `VariantError`."""
    module_name = variant_class.__module__
    if (own := module_name.removeprefix("gancli.variants.")) in built_in() and own != module_name:
        return own
    for name, several in outside.packages().items():
        if any(origin.module == module_name for origin in several):
            return check_name(name)
    for name, imported in _imported.items():
        if imported.module.__name__ == module_name and imported.origin.kind == "file":
            return name
    module = sys.modules[module_name]
    file = getattr(module, "__file__", None)
    path = Path(file).resolve() if file and Path(file).is_file() else None
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", variant_class.__name__).lower()
    if path is not None and len(declaration.variants_in(module)) == 1 and outside.NAME.fullmatch(path.stem):
        name = path.stem
    origin = Origin("python", module_name, path)
    if path is not None:
        origin = outside.read(origin)[0]
    _imported.pop(name, None)
    _add(name, origin, f"variant {variant_class.__name__}")
    declaration.check_class(variant_class, origin)
    docstring = module.__doc__ if path is not None and module.__doc__ else variant_class.__doc__
    info = describe(name, docstring, declaration.config_of(module, origin, variant_class), origin)
    _imported[name] = _Imported(origin, info, module, variant_class)
    return name

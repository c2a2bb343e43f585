"""What the module of a variant from outside declares: its `Config` and one `Variant`, checked with their lines."""

import dataclasses
import inspect
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gancli.catalogue import outside
from gancli.catalogue.outside import Origin
from gancli.config import RunConfig, VariantConfig, fields_of, suggestions
from gancli.config.run import TrainCommandConfig
from gancli.errors import UsageError, VariantError
from gancli.text import few

if TYPE_CHECKING:
    from gancli.variant import Variant


def config_of(module: ModuleType, origin: Origin, variant_class: "type[Variant] | None" = None) -> type[VariantConfig]:
    """Return the checked `Config` of a module, or of its class. Raises `VariantError`."""
    where = str(origin)
    config_class: Any = getattr(variant_class, "Config", None) or getattr(module, "Config", None)
    if config_class is None and (classes := variants_in(module)):
        config_class = getattr(classes[0], "Config", None)
    if config_class is None:
        raise VariantError(f"{where}: has no Config; define `class Config(VariantConfig)` in it, with @dataclass")
    line = line_of(config_class) or where
    if not (isinstance(config_class, type) and issubclass(config_class, VariantConfig)):
        raise VariantError(f"{line}: Config must derive from gancli.config.VariantConfig")
    if "__dataclass_fields__" not in vars(config_class):
        raise VariantError(f"{line}: Config must be decorated with @dataclass(frozen=True, kw_only=True)")
    try:
        own = {field.name: field for field in fields_of(config_class)}
    except Exception as error:  # annotations that are no types of options, or names that do not exist
        raise VariantError(f"{line}: Config: {outside.described(error)}") from error
    shared = {field.name: field for config in (RunConfig, TrainCommandConfig) for field in fields_of(config)}
    if both := sorted(set(own) & {*shared, "help"}):
        raise VariantError(f"{line}: Config: {few(both)} is an option of gan train; give it another name")
    presets: Any = config_class.presets
    if not isinstance(presets, Mapping) or "default" not in presets:
        raise VariantError(f'{line}: Config.presets must be a mapping with "default", such as {{"default": {{}}}}')
    for preset, values in presets.items():
        for key, value in values.items():
            field = own.get(key) or shared.get(key)
            if field is None:
                raise VariantError(
                    f"{line}: preset {preset}: {key} is no option{suggestions.of_name(key, own | shared)}"
                )
            try:
                field.check(value)
            except UsageError as error:
                raise VariantError(f"{line}: preset {preset}: {error}") from None
    for option in own.values():
        if option.default is not dataclasses.MISSING:
            try:
                option.check(option.default)
            except UsageError as error:
                raise VariantError(f"{line}: the default of {error}") from None
        else:
            raise VariantError(f"{line}: Config.{option.name}: has no default; give option(default, help)")
    return config_class


def line_of(found: type) -> str:
    """Return the file and line of a class; `""` if its source is not known."""
    try:
        file, (_, line) = inspect.getsourcefile(found), inspect.getsourcelines(found)
    except (OSError, TypeError):
        return ""
    return "" if file is None else f"{outside.shown(Path(file))}:{max(1, line)}"


def variants_in(module: ModuleType) -> "list[type[Variant]]":
    """Return the subclasses of `Variant` that a module defines."""
    from gancli.variant import Variant

    found = (value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Variant))
    return [value for value in dict.fromkeys(found) if value.__module__ == module.__name__]


def only_variant(module: ModuleType, origin: Origin) -> "type[Variant]":
    """Return the class of the variant in a module: the one that its entry point names, else the only one. Raises
    `VariantError`."""
    if origin.attribute:
        found: Any = getattr(module, origin.attribute, None)
        if not isinstance(found, type):
            raise VariantError(
                f"{origin}: its entry point names {origin.attribute}, which {origin.module} does not have"
            )
        return found
    classes = variants_in(module)
    if not classes:
        raise VariantError(f"{origin}: defines no Variant; define one subclass of gancli.variant.Variant in it")
    if len(classes) > 1:
        which = " and ".join(f"{each.__name__} ({line_of(each) or origin})" for each in classes)
        raise VariantError(f"{origin}: defines {len(classes)} Variants, {which}; keep one")
    return classes[0]


def check_class(variant_class: "type[Variant]", origin: Origin) -> None:
    """Raise `VariantError` for a class that cannot be a variant of this contract."""
    from gancli.variant import CONTRACT, Variant

    line = line_of(variant_class) or str(origin)
    if not issubclass(variant_class, Variant):
        raise VariantError(f"{line}: {variant_class.__name__} must derive from gancli.variant.Variant")
    if variant_class.contract != CONTRACT:
        raise VariantError(
            f"{line}: {variant_class.__name__} states contract {variant_class.contract}, and this gan has contract "
            f"{CONTRACT} (gancli.variant.CONTRACT); use another version of gan, or change the variant"
        )
    if missing := sorted(getattr(variant_class, "__abstractmethods__", ())):
        raise VariantError(f"{line}: {variant_class.__name__} does not define {few(missing)}")

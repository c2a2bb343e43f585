"""What a variant from outside may import: a listing of names, signatures and fields.

`python -m tests.variants.surface` writes it to surface.txt after a change on purpose; if a variant that worked no longer
would, `gancli.variant.CONTRACT` must rise.
"""

import dataclasses
import importlib
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

FILE = Path(__file__).parent / "surface.txt"
WHOLE = (
    "gancli.variant",
    "gancli.spec",
    "gancli.nn.adversarial",
    "gancli.nn.augment",
    "gancli.nn.layers",
    "gancli.nn.penalties",
)
NAMES = {"gancli.config": ("VariantConfig", "option"),
         "gancli.errors": ("GancliError", "UsageError", "VariantError")}  # fmt: skip


def listing() -> str:
    """The listing, one name a line."""
    lines = [f"CONTRACT {importlib.import_module('gancli.variant').CONTRACT}"]
    for name in (*WHOLE, *NAMES):
        module = importlib.import_module(name)
        own = (key for key, value in vars(module).items() if getattr(value, "__module__", name) == name)
        for key in sorted(NAMES.get(name, own)):
            if not key.startswith("_") and not isinstance(vars(module)[key], ModuleType | bool):
                lines += _described(f"{name}.{key}", getattr(module, key))
    return "\n".join(lines) + "\n"


def _described(name: str, value: Any) -> Iterator[str]:
    if inspect.isclass(value):
        bases = ", ".join(base.__name__ for base in value.__bases__)
        yield f"{name}: class({bases})"
        for field in dataclasses.fields(value) if dataclasses.is_dataclass(value) else ():
            yield f"{name}.{field.name}: {_text(field.type)}"
        for key, hint in vars(value).get("__annotations__", {}).items():
            if not dataclasses.is_dataclass(value) or "ClassVar" in str(hint):
                yield f"{name}.{key}: {_text(hint)}"
        for key, member in sorted(vars(value).items()):
            function = getattr(member, "__func__", getattr(member, "fget", member))
            shown = key == "__init__" and not dataclasses.is_dataclass(value)
            own = inspect.isfunction(function) and function.__module__ == value.__module__
            if own and (shown or not key.startswith("_")):
                yield f"{name}.{key}{_signature(function)}"
    elif callable(value) and hasattr(value, "__code__"):
        yield f"{name}{_signature(value)}"
    elif isinstance(value, int | float | str | tuple):
        yield f"{name} = {value!r}"
    elif isinstance(value, Mapping):
        yield f"{name}: {', '.join(sorted(map(str, value)))}"
    else:
        yield f"{name}: {_text(value)}"


def _signature(function: Any) -> str:
    return _text(inspect.signature(function))


def _text(value: Any) -> str:
    text = value.__qualname__ if isinstance(value, type) else str(value)
    for module in ("torch.nn.modules.module.", "torch._C.", "collections.abc.", "typing.", "torch.", "gancli.variant."):
        text = text.replace(module, "")
    return text


if __name__ == "__main__":
    FILE.write_text(listing())

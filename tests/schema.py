"""The part of JSON Schema that docs/metrics.schema.json uses, so that no test needs a package for it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

KNOWN = {
    "$schema", "$defs", "$ref", "title", "description", "anyOf", "type", "required", "properties", "additionalProperties",
    "minimum", "pattern",
}  # fmt: skip
TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict, "string": str, "boolean": bool, "integer": int, "number": (int, float), "null": type(None),
}  # fmt: skip


def faults(value: Any, schema: Any, whole: Mapping[str, Any], where: str = "row") -> Iterator[str]:
    """What of `value` is not as `schema`, a part of the schema `whole`, has it."""
    if isinstance(schema, bool):
        yield from () if schema else (f"{where}: is not allowed",)
        return
    assert set(schema) <= KNOWN, f"{set(schema) - KNOWN} is not known to this checker"
    if "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    if "anyOf" in schema:
        found = [list(faults(value, each, whole, where)) for each in schema["anyOf"]]
        yield from [] if [] in found else [f"{where}: is of no kind: {found}"]
    kinds = [schema["type"]] if isinstance(schema.get("type", []), str) else schema.get("type", [])
    if kinds and not any(_is(value, kind) for kind in kinds):
        yield f"{where}: {value!r} is no {' or '.join(kinds)}"
        return
    if "minimum" in schema and value is not None and value < schema["minimum"]:
        yield f"{where}: {value} is below {schema['minimum']}"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{where}: {value!r} is not as {schema['pattern']}"
    if isinstance(value, dict):
        yield from (f"{where}: has no {name}" for name in schema.get("required", []) if name not in value)
        named, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        for name, each in value.items():
            yield from faults(each, named.get(name, others), whole, f"{where}.{name}")


def _is(value: object, kind: str) -> bool:
    return isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))

"""Who decides a value: flag, environment variable, `--config` file, preset, default, in this order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gancli.config.option import Field, VariantConfig, fields_of
from gancli.config.run import RunConfig
from gancli.errors import UsageError, did_you_mean

MAY_CHANGE = frozenset({
    "epochs", "steps", "max_time", "data_root", "download", "on_bad_image", "device", "graph", "threads",
    "log_every", "sample_every", "save_every", "eval_every", "eval_metric", "keep", "progress", "out",
})  # fmt: skip
"""Options that a resumed run may be given anew: they change how long, where or how visibly it trains, not what."""


@dataclass(frozen=True)
class Layer:
    """Values from one origin. `origin` is what `--dry-run` shows: "flag", "GAN_DATA", "run.toml", "preset article"."""

    origin: str
    values: Mapping[str, object]


@dataclass(frozen=True)
class Resolved:
    """A complete configuration and, for each option, the origin of its value."""

    run: RunConfig
    own: VariantConfig
    origins: Mapping[str, str]


def known_fields(config_class: type[VariantConfig]) -> dict[str, Field]:
    """All options of `gan train` for one variant, by name: the run's, then the variant's own."""
    run, own = fields_of(RunConfig), fields_of(config_class)
    assert not {f.name for f in run} & {f.name for f in own}, f"{config_class} repeats an option of RunConfig"
    return {field.name: field for field in (*run, *own)}


def preset_layers(variant: str, config_class: type[VariantConfig], preset: str) -> list[Layer]:
    """The layers of a preset: the variant's defaults, then the preset's own values. Raises `UsageError`."""
    if preset not in config_class.presets:
        known = ", ".join(config_class.presets)
        hint = did_you_mean(preset, config_class.presets)
        raise UsageError(f"--preset {preset}: {variant} has {known}{hint}")
    layers = [Layer("default", config_class.presets["default"])]
    if preset != "default":
        layers.append(Layer(f"preset {preset}", config_class.presets[preset]))
    return layers


def resolve(variant: str, config_class: type[VariantConfig], layers: Iterable[Layer]) -> Resolved:
    """Lay the layers over the options' own defaults, the last one on top. Raises `UsageError` naming the culprit."""
    fields = known_fields(config_class)
    values: dict[str, Any] = {name: field.default for name, field in fields.items()}
    origins = dict.fromkeys(fields, "default")
    for layer in layers:
        if layer.values.get("epochs") is not None and layer.values.get("steps") is not None:
            raise UsageError("--epochs and --steps: both say how long the run is; give one")
        for name, value in layer.values.items():
            values[name], origins[name] = fields[name].check(value, layer.origin), layer.origin
            if name in ("epochs", "steps") and value is not None:
                other = "steps" if name == "epochs" else "epochs"
                values[other], origins[other] = None, layer.origin
    values["variant"] = variant
    own_names = {field.name for field in fields_of(config_class)}
    run = RunConfig(**{name: value for name, value in values.items() if name not in own_names})
    own = config_class(**{name: values[name] for name in own_names})
    return Resolved(run, own, origins)


def file_layer(
    origin: str, table: Mapping[str, object], variant: str, config_class: type[VariantConfig], others: Sequence[str]
) -> Layer:
    """The values of a TOML file that concern `variant`: the top level, and the table named after it.

    Tables of other variants (`others`) are left alone. Raises `UsageError` for a key that is no option.
    """
    fields = known_fields(config_class)
    own = table.get(variant, {})
    if not isinstance(own, dict):
        raise UsageError(f"{origin}: {variant} must be a table of {variant}'s options")
    top = {key: value for key, value in table.items() if key not in {variant, *others}}
    values: dict[str, object] = {}
    for key, value in [*top.items(), *own.items()]:
        name = key.replace("-", "_")
        if name not in fields:
            raise UsageError(f"{origin}: {key} is no option of {variant}{did_you_mean(name, fields)}")
        values[name] = value
    return Layer(origin, values)


def check_resumed(recorded: Resolved, given: Iterable[Layer]) -> None:
    """Refuse what would make a resumed run another run. Raises `UsageError` with the expected and the given value."""
    for layer in given:
        for name, value in layer.values.items():
            expected = getattr(recorded.run, name, None) if hasattr(recorded.run, name) else getattr(recorded.own, name)
            if name not in MAY_CHANGE and value != expected:
                flag = "--" + name.replace("_", "-")
                raise UsageError(
                    f"{flag} {value} ({layer.origin}): the run to resume has {expected}; "
                    "leave it out, or start a new run in another --out"
                )

"""Precedence of the origins of a value: flag, environment variable, `--config` file, preset, default."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gancli.config import suggestions, toml
from gancli.config.option import Field, fields_of, from_environment, with_current_names
from gancli.config.paths import expanded
from gancli.config.run import RunConfig
from gancli.config.shared_options import VariantConfig
from gancli.errors import UsageError, did_you_mean
from gancli.process import CPUS
from gancli.text import Note, counted

MAY_CHANGE = frozenset({
    "epochs", "steps", "within", "max_time", "dataset", "data_root", "download", "on_bad_image", "device", "precision",
    "graph", "compile",
    "threads", "log_every", "sample_every", "save_every", "eval_every", "eval_metric", "keep", "report", "tensorboard",
    "wandb", "progress", "out",
})  # fmt: skip
"""Options that may change when a run is resumed: its length, place and output. (The dataset may have moved, but must be the
same: `engine.resume.restore` checks that.)"""
FLAG = "flag"  # the origin of values on the command line
NOT_STORED = frozenset({"out", "progress", "within", "max_time"})
"""Options of one command rather than of the run: not written into `config.toml`, and ignored in an older one."""


@dataclass(frozen=True)
class Layer:
    """Values from one origin. `origin` is what `--dry-run` shows: "flag", "GAN_DATA", "run.toml", "preset article".
    `of_machine`: the values belong to the machine (its environment) rather than to the run. `notes`: messages about values
    that were not taken."""

    origin: str
    values: Mapping[str, object]
    of_machine: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Resolved:
    """A complete configuration and, for each option, the origin of its value. `stored`: the run's values without those of
    this machine, for `config.toml`."""

    run: RunConfig
    own: VariantConfig
    origins: Mapping[str, str]
    stored: RunConfig


def known_fields(config_class: type[VariantConfig]) -> dict[str, Field]:
    """All options of `gan train` for one variant, by name: the run's, then the variant's own."""
    run, own = fields_of(RunConfig), fields_of(config_class)
    assert not {f.name for f in run} & {f.name for f in own}, f"{config_class} repeats an option of RunConfig"
    return {field.name: field for field in (*run, *own)}


def preset_layers(
    variant: str, config_class: type[VariantConfig], preset: str, channels: int | None = None
) -> list[Layer]:
    """The layers of a preset: the variant's defaults, then the preset's own values. `channels`: of the images of a named
    dataset; None for others. Raises `UsageError`."""
    if preset not in config_class.presets:
        known = ", ".join(config_class.presets)
        hint = did_you_mean(preset, config_class.presets)
        raise UsageError(f"--preset {preset}: {variant} has {known}{hint}")
    layers = [Layer("default", config_class.presets["default"])]
    if preset != "default":
        layers.append(Layer(f"preset {preset}", config_class.presets[preset]))
    elif channels == 1:
        layers.append(Layer("grey images", config_class.defaults_for_grey))
    return layers


def resolve(variant: str, config_class: type[VariantConfig], layers: Iterable[Layer]) -> Resolved:
    """Merge the layers over the options' own defaults; the last layer has precedence. Values are not checked again: that was
    done when they were parsed or read. Raises `UsageError` for values that contradict each other."""
    fields, layers = known_fields(config_class), list(layers)
    values, origins = _laid_over(fields, layers)
    kept, _ = _laid_over(fields, [layer for layer in layers if not layer.of_machine])
    values["variant"] = kept["variant"] = variant
    _check_effects(fields, values, layers)
    own_names = {field.name for field in fields_of(config_class)}
    run, kept_run = (RunConfig(**{n: v for n, v in some.items() if n not in own_names}) for some in (values, kept))
    own = config_class(**{name: values[name] for name in own_names})
    own.check()
    return Resolved(run, own, origins, kept_run)


def _laid_over(fields: Mapping[str, Field], layers: Sequence[Layer]) -> tuple[dict[str, Any], dict[str, str]]:
    """The options' values and their origins."""
    values: dict[str, Any] = {name: field.default for name, field in fields.items()}
    origins = dict.fromkeys(fields, "default")
    for layer in layers:
        if layer.values.get("epochs") is not None and layer.values.get("steps") is not None:
            raise UsageError("--epochs and --steps: both set the length of the run; give one")
        for name, value in layer.values.items():
            values[name], origins[name] = value, layer.origin
            if name in ("epochs", "steps") and value is not None:
                other = "steps" if name == "epochs" else "epochs"
                values[other], origins[other] = None, layer.origin
                if "within" not in layer.values:
                    values["within"], origins["within"] = None, layer.origin
    return values, origins


def _check_effects(fields: Mapping[str, Field], values: Mapping[str, Any], layers: Sequence[Layer]) -> None:
    """Raises `UsageError` for a flag that has no effect with the other values."""
    for name in (name for layer in layers if layer.origin == FLAG for name in layer.values):
        other, _, needed = (fields[name].option.only_with or "").partition("=")
        if not other or (needed == "False" and not values[name]):
            continue
        if values[other] is None or needed not in ("", str(values[other])):
            condition = fields[name].option.condition()
            raise UsageError(f"{fields[name].flag} {values[name]}: only applies with {condition}")


def environment_layers(but: Collection[str] = ()) -> list[Layer]:
    """A layer for each environment variable that is set, but for those of some options. Raises `UsageError`."""
    variables = {field.name: str(field.option.env) for field in fields_of(RunConfig)}
    found = from_environment(RunConfig)
    return [Layer(variables[name], {name: found[name]}, of_machine=True) for name in found if name not in but]


def file_layer(
    origin: str, table: Mapping[str, object], variant: str, config_class: type[VariantConfig], others: Sequence[str]
) -> Layer:
    """The values of a TOML file for `variant`: those of the top level, and of the table named after it, each checked.

    Ignored are tables of other variants (`others`), the resolved values in a run's own file, and a number of threads above
    the number of CPUs here. Raises `UsageError`, also for an unknown key.
    """
    fields = known_fields(config_class)
    own = table.get(variant, {})
    if not isinstance(own, dict):
        raise UsageError(f"{origin}: {variant} must be a table of {variant}'s options")
    top = {key: value for key, value in table.items() if key not in {variant, *others, toml.CHOSEN, toml.ORIGIN}}
    given = {key.replace("-", "_"): value for key, value in [*top.items(), *own.items()]}
    values: dict[str, object] = {}
    for name, value in with_current_names(given, fields.values()).items():
        if name not in fields:
            raise UsageError(f"{origin}: {variant} has no option {name}{suggestions.of_name(name, fields)}")
        values[name] = fields[name].check(value, origin)
    notes = []
    if isinstance(threads := values.get("threads"), int) and threads > len(CPUS):
        del values["threads"]
        line = f"{origin}: {threads} threads are too many here; chosen again for {counted(len(CPUS), 'CPU')}"
        notes.append(Note(line))
    return Layer(origin, values, notes=tuple(notes))


def check_resumed(recorded: Resolved, given: Iterable[Layer], came_to: Mapping[str, object]) -> None:
    """Raises `UsageError` for a value that a resumed run cannot change. `came_to`: the chosen values of options that were
    left open."""
    fields = known_fields(type(recorded.own))
    for layer in given:
        for name, value in layer.values.items():
            expected = getattr(recorded.run if hasattr(recorded.run, name) else recorded.own, name)
            expected = came_to.get(name) if expected is None else expected
            if name not in MAY_CHANGE and not _same(fields[name], value, expected):
                raise UsageError(
                    f"{fields[name].long} {value} ({layer.origin}): the run to resume has {expected}; "
                    "leave it out, or start a new run in another --out"
                )


def _same(field: Field, given: Any, recorded: Any) -> bool:
    """Whether two values are equal; paths are compared as absolute ones."""
    if not field.option.path or given is None or recorded is None:
        return bool(given == recorded)
    return expanded(given, field.flag).absolute() == expanded(recorded, field.flag).absolute()

"""Who decides a value: flag, environment variable, `--config` file, preset, default, in this order."""

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
    "epochs", "steps", "max_time", "dataset", "data_root", "download", "on_bad_image", "device", "precision", "graph",
    "compile",
    "threads", "log_every", "sample_every", "save_every", "eval_every", "eval_metric", "keep", "report", "tensorboard",
    "progress", "out",
})  # fmt: skip
"""Options that a resumed run may be given anew: they change how long, where or how visibly it trains, not what. (The data
set may lie elsewhere, but must be the same: `engine.resume.restore` looks.)"""
FLAG = "flag"  # the origin of what stands on the command line
NOT_KEPT = frozenset({"out", "progress", "max_time"})
"""Options of one command rather than of the run: `config.toml` leaves them out, and a resume passes over an older one's."""


@dataclass(frozen=True)
class Layer:
    """Values from one origin. `origin` is what `--dry-run` shows: "flag", "GAN_DATA", "run.toml", "preset article".
    `of_machine`: they belong to the machine (its environment) rather than to the run. `notes`: what of them does not hold
    here."""

    origin: str
    values: Mapping[str, object]
    of_machine: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Resolved:
    """A complete configuration and, for each option, the origin of its value. `kept`: the run's without what belongs to this
    machine, for `config.toml`."""

    run: RunConfig
    own: VariantConfig
    origins: Mapping[str, str]
    kept: RunConfig


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
    """Lay the layers over the options' own defaults, the last one on top. Their values are taken as they are: they were
    checked when they were parsed or read. Raises `UsageError` for values that contradict each other."""
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
            raise UsageError("--epochs and --steps: both say how long the run is; give one")
        for name, value in layer.values.items():
            values[name], origins[name] = value, layer.origin
            if name in ("epochs", "steps") and value is not None:
                other = "steps" if name == "epochs" else "epochs"
                values[other], origins[other] = None, layer.origin
    return values, origins


def _check_effects(fields: Mapping[str, Field], values: Mapping[str, Any], layers: Sequence[Layer]) -> None:
    """Raises `UsageError` for a flag that has no effect beside the other values."""
    for name in (name for layer in layers if layer.origin == FLAG for name in layer.values):
        other, _, needed = (fields[name].option.only_with or "").partition("=")
        if other and (values[other] is None or (needed and values[other] != needed)):
            condition = f"{fields[other].flag} {needed}".strip()
            raise UsageError(f"{fields[name].flag} {values[name]}: has an effect only with {condition}")


def environment_layers(but: Collection[str] = ()) -> list[Layer]:
    """A layer for each environment variable that is set, but for those of some options. Raises `UsageError`."""
    variables = {field.name: str(field.option.env) for field in fields_of(RunConfig)}
    found = from_environment(RunConfig)
    return [Layer(variables[name], {name: found[name]}, of_machine=True) for name in found if name not in but]


def file_layer(
    origin: str, table: Mapping[str, object], variant: str, config_class: type[VariantConfig], others: Sequence[str]
) -> Layer:
    """The values of a TOML file that concern `variant`: the top level, and the table named after it.

    Tables of other variants (`others`) are left alone, and so is what a run's own file says its values came to, and more
    threads than this machine has CPUs: the file is from a larger one. Each value is checked. Raises `UsageError`, also for
    a key that is no option.
    """
    fields = known_fields(config_class)
    own = table.get(variant, {})
    if not isinstance(own, dict):
        raise UsageError(f"{origin}: {variant} must be a table of {variant}'s options")
    top = {key: value for key, value in table.items() if key not in {variant, *others, toml.CAME_TO}}
    given = {key.replace("-", "_"): value for key, value in [*top.items(), *own.items()]}
    values: dict[str, object] = {}
    for name, value in with_current_names(given, fields.values()).items():
        if name not in fields:
            raise UsageError(f"{origin}: {variant} has no option {name}{suggestions.of_name(name, fields)}")
        values[name] = fields[name].check(value, origin)
    notes = []
    if isinstance(threads := values.get("threads"), int) and threads > len(CPUS):
        del values["threads"]
        line = f"{origin}: {threads} threads are for a larger machine; chosen anew for the {counted(len(CPUS), 'CPU')} here"
        notes.append(Note(line))
    return Layer(origin, values, notes=tuple(notes))


def check_resumed(recorded: Resolved, given: Iterable[Layer], came_to: Mapping[str, object]) -> None:
    """Refuse what would make a resumed run another run. `came_to`: what values that the run left open came to. Raises
    `UsageError` with the expected and the given value."""
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
    """Whether two values are one; a path is recorded as it holds from any directory."""
    if not field.option.path or given is None or recorded is None:
        return bool(given == recorded)
    return expanded(given, field.flag).absolute() == expanded(recorded, field.flag).absolute()

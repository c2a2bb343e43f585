"""What a checkpoint records about its model and run: one JSON value under one metadata key, checked field by field, and the
`gan train` command line that reproduces it. Imports no torch."""

import dataclasses
import json
import keyword
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gancli import catalogue
from gancli.config import Field, VariantConfig, fields_of
from gancli.config.option import checked, with_current_names
from gancli.config.resolve import NOT_STORED, known_fields, preset_layers, resolve
from gancli.config.run import RANDOM_WEIGHTS
from gancli.data.dataset_object import is_python
from gancli.data.overview import channels_of
from gancli.errors import CheckpointError, GancliError, UsageError, shell_quoted
from gancli.spec import ImageSpec
from gancli.store import pretrained
from gancli.store.header import MAX_HEADER_BYTES, Header, json_object
from gancli.text import few

KEY = "gancli"
FORMAT = 1
MAX_CLASSES = 100_000
MAX_TEXT = 4_096
MAX_COUNT = 2**63
TEXTS = ("kind", "variant", "preset", "dataset", "precision", "phase", "sha256", "fingerprint", "command", "init_from")
COUNTS = ("num_images", "held_out", "seed", "batch_size", "step", "steps")
OPTIONAL = ("fingerprint", "fit", "held_out", "command", "origin", "init_from")  # older files lack them
OPTION_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
RUN_OPTIONS = ("variant", "preset", "dataset", "steps", "batch_size", "seed", "ema")

History = Mapping[str, tuple[tuple[int, float], ...]]


@dataclass(frozen=True)
class Facts:
    """Everything needed to rebuild the model, and its origin.

    Contains nothing that differs between two runs of the same command, such as times or paths: equal runs give equal files.
    """

    kind: Literal["model", "state"]
    variant: str
    preset: str
    config: VariantConfig
    images: ImageSpec
    dataset: str
    num_images: int
    seed: int
    batch_size: int
    ema: float
    precision: str
    step: int
    steps: int
    epoch: float
    phase: str
    sha256: str = ""  # of the tensors' bytes
    versions: Mapping[str, str] = field(default_factory=dict)
    losses: History = field(default_factory=dict)  # term → (step, mean) of at most a few dozen intervals
    fingerprint: str = ""  # of the dataset; "" in files of an older gan
    fit: Literal["crop", "pad", "stretch"] = "crop"  # how the user's own images were made square
    held_out: int = 0  # the number of images not trained on
    command: str = ""  # that trained a pretrained model; "" for any other
    origin: Mapping[str, str] = field(default_factory=dict)  # of a variant's code; empty for gan's own
    init_from: str = ""  # the name of the model that the run started from; "": random weights


def to_metadata(facts: Facts) -> dict[str, str]:
    """Return the metadata of a file: `format: pt`, which Transformers and others expect, and the facts as JSON."""
    values = dataclasses.asdict(facts) | {"gancli_format": FORMAT}
    for name in ("command", "origin", "init_from"):
        if not values[name]:
            del values[name]
    return {"format": "pt", KEY: json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)}


def check_readable(facts: Facts) -> None:
    """Raise `UsageError` for facts that `from_header` would refuse, so that no model is trained that cannot be loaded."""
    try:
        text = to_metadata(facts)[KEY]
        if len(text) > MAX_HEADER_BYTES // 2:
            raise ValueError(f"takes {len(text)} bytes, over the limit of {MAX_HEADER_BYTES // 2}")
        _facts(json_object(text))
    except ValueError as error:
        raise UsageError(
            f"--dataset {facts.dataset}: a checkpoint could not be read again ({facts.images.num_classes} classes): its "
            f"metadata {error}"
        ) from None


def from_header(path: Path, header: Header) -> Facts:
    """Return the facts of a checkpoint. Raises `CheckpointError` that names the file and what is wrong with it.

    Imports no code: the `config` of a variant whose code this process has not imported is of a class made for its values,
    unchecked, and `read_config` checks it when the model is built.
    """
    values = read_metadata(path, header)
    try:
        return _facts(values)
    except (ValueError, OverflowError, UsageError) as error:
        raise _invalid(path, error) from None


def read_metadata(path: Path, header: Header) -> dict[str, Any]:
    """Return the facts of a checkpoint as JSON, unchecked: for lists of many runs, ten times faster than `from_header`.
    Raises `CheckpointError` if there are none."""
    if KEY not in header.metadata:
        raise CheckpointError(f"{path}: a safetensors file, but not one that `gan train` wrote")
    try:
        return json_object(header.metadata[KEY])
    except ValueError as error:
        raise _invalid(path, error) from None


def _invalid(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(f"{path}: invalid metadata: {error}")


def _facts(values: dict[str, Any]) -> Facts:
    """Return the facts in untrusted values. Raises `ValueError`, `OverflowError` or `UsageError`."""
    if values.pop("gancli_format", None) != FORMAT:
        raise ValueError(f"written by a gan of another format than {FORMAT}; use that version")
    values = {name: getattr(Facts, name, {}) for name in OPTIONAL} | values
    if differing := sorted(set(values) ^ {f.name for f in dataclasses.fields(Facts)}):
        raise ValueError(
            f"fields {', '.join(differing)[:200]} are missing or unknown: written by another gan; use that version"
        )
    for name in TEXTS:
        _require(_is_text(values[name]), name)
    for name in COUNTS:
        _require(type(values[name]) is int and 0 <= values[name] < MAX_COUNT, name)
    _require(values["kind"] in ("model", "state"), "kind")
    _require(values["fit"] in ("crop", "pad", "stretch"), "fit")
    for name in ("ema", "epoch"):
        _require(type(values[name]) in (int, float) and values[name] >= 0, name)
        values[name] = float(values[name])
    return Facts(
        **{
            **values,
            "config": _config(values["variant"], values["config"]),
            "origin": _texts(values["origin"], "origin"),
            "images": _image_spec(values["images"]),
            "versions": _texts(values["versions"], "versions"),
            "losses": _losses(values["losses"]),
        }
    )


def _config(variant: str, values: object) -> VariantConfig:
    """Return the configuration of a variant that was imported; of any other the values alone. Raises `ValueError`."""
    if variant in catalogue.known_names():
        return read_config(variant, values)
    if not isinstance(values, dict) or len(values) > 1000:
        raise ValueError("config has an impossible value")
    for name, value in values.items():
        _require(OPTION_NAME.fullmatch(name) is not None and not keyword.iskeyword(name), "config")
        _require(value is None or type(value) in (bool, int, float) or _is_text(value), "config")
        _require(not hasattr(VariantConfig, name), "config")
    fields = [(name, Any, value) for name, value in values.items()]
    found: VariantConfig = dataclasses.make_dataclass(
        "Config", fields, bases=(VariantConfig,), frozen=True, kw_only=True
    )()
    return found


def read_config(variant: str, values: object) -> VariantConfig:
    """Return a variant's configuration from untrusted values: options of that variant, each within its bounds. A missing
    option is newer than the file and gets its default, which keeps the behaviour of the time. Raises `ValueError`."""
    config_class = catalogue.variant_info(variant).config_class
    fields = {f.name: f for f in fields_of(config_class)}
    if not isinstance(values, dict):
        raise ValueError("config has an impossible value")
    values = with_current_names(values, fields.values())
    if unknown := sorted(set(values) - set(fields)):
        of = "this version of gan" if catalogue.is_own(variant) else str(catalogue.origin_of(variant))
        raise ValueError(f"{few(unknown)}: no option of {variant} in {of}; use the version that wrote the file")
    config = config_class(**checked(config_class, values))
    config.check()
    return config


def _require(holds: bool, name: str) -> None:
    if not holds:
        raise ValueError(f"{name} has an impossible value")


def _is_text(value: object, max_length: int = MAX_TEXT) -> bool:
    return isinstance(value, str) and len(value) <= max_length


def _image_spec(value: object) -> ImageSpec:
    match value:
        case {"channels": 1 | 3 as channels, "size": int(size), "class_names": list(names), **rest} if not rest:
            _require(1 <= size <= 8192 and len(names) <= MAX_CLASSES, "images")
            _require(all(map(_is_text, names)), "class_names")
            return ImageSpec(channels, size, tuple(names))
    raise ValueError("images has an impossible value")


def _texts(value: object, name: str) -> dict[str, str]:
    _require(isinstance(value, dict) and len(value) <= 20 and all(_is_text(text, 200) for text in value.values()), name)
    assert isinstance(value, dict)
    return value


def _losses(value: object) -> History:
    if not isinstance(value, dict) or len(value) > 100:
        raise ValueError("losses has an impossible value")
    series = {}
    for name, points in value.items():
        _require(isinstance(points, list) and len(points) <= 1000, "losses")
        for point in points:
            match point:
                case [int(), int() | float()]:
                    continue
            raise ValueError("losses has an impossible value")
        series[name] = tuple((step, float(mean)) for step, mean in points)
    return series


def command_from_config(config: Mapping[str, object]) -> str:
    """Return the command line that repeats a `config.toml`, such as `gan train --variant cgan --steps 500`: the options that
    differ from the preset. `""` for a configuration that this version does not know, and for a dataset object of Python."""
    try:
        variant = str(config.get("variant"))
        if variant not in catalogue.known_names():
            return ""
        config_class = catalogue.variant_info(variant).config_class
        preset = str(config.get("preset", "default"))
        channels = channels_of(str(config.get("dataset", "digits")))
        usual = resolve(variant, config_class, preset_layers(variant, config_class, preset, channels))
        own = config.get(variant, {})
        if is_python(str(config.get("dataset", ""))):
            return ""
        fields = known_fields(config_class)
        config = {**pretrained.former_defaults(config, variant), **config}
        given = with_current_names({**config, **(own if isinstance(own, dict) else {})}, fields.values())
        words = [
            "gan",
            "train",
            "--variant",
            catalogue.word_of(variant),
            *(() if preset == "default" else ("--preset", preset)),
        ]
        for name, option in fields.items():
            of_run = hasattr(usual.run, name)
            value = given.get(name, None if of_run else option.default)  # the file may be older than the option
            if name in ("variant", "preset", *NOT_STORED) or value is None:
                continue
            measured = usual.run.within is not None and name in ("steps", "epochs")
            if measured or option.check(value) != getattr(usual.run if of_run else usual.own, name):
                words += _words(option, value)
    except GancliError:
        return ""
    return " ".join(map(shell_quoted, words))


def command_from_facts(facts: Facts) -> str:
    """Return the command line that repeats a checkpoint's run, with its length in steps. The user's own dataset is given by
    its name, without its location."""
    if facts.command:
        return facts.command
    config: dict[str, object] = {name: getattr(facts, name) for name in RUN_OPTIONS}
    started = pretrained.start_for(facts.variant, facts.preset, facts.dataset, facts.images)
    config["init_from"] = facts.init_from or (RANDOM_WEIGHTS if started else None)
    config |= {"image_size": facts.images.size, facts.variant: dataclasses.asdict(facts.config)}
    return command_from_config(config | ({"fit": facts.fit} if facts.fit != "crop" else {}))


def _words(option: Field, value: object) -> Iterator[str]:
    if option.kind is bool:
        yield option.long if value else f"--no-{option.long[2:]}"
        return
    for one in value if isinstance(value, list | tuple) else (value,):
        yield option.long
        yield str(one)

"""What a checkpoint says of itself: one JSON value under one metadata key. Read without torch, checked field by field."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gancli import catalogue
from gancli.config import VariantConfig, fields_of
from gancli.config.option import checked, with_current_names
from gancli.data.spec import ImageSpec
from gancli.errors import CheckpointError, UsageError, few
from gancli.store.header import MAX_HEADER_BYTES, Header, json_object

KEY = "gancli"
FORMAT = 1
MAX_CLASSES = 100_000
MAX_TEXT = 4_096

History = Mapping[str, tuple[tuple[int, float], ...]]


@dataclass(frozen=True)
class Facts:
    """Everything needed to rebuild the model, and where it came from.

    Holds nothing that differs between two runs of the same command, such as times or paths: equal runs give equal files.
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
    fingerprint: str = ""  # of the data set; "" in files of an older gan
    fit: Literal["crop", "pad", "stretch"] = "crop"  # how images were made square, for the user's own data
    held_out: int = 0  # of the images, so many were not trained on
    command: str = ""  # that made it, of a pretrained model; "" of any other


def to_metadata(facts: Facts) -> dict[str, str]:
    """The metadata of a file: `format: pt`, as Transformers and others expect, and ours."""
    values = dataclasses.asdict(facts) | {"gancli_format": FORMAT}
    if not facts.command:
        del values["command"]
    return {"format": "pt", KEY: json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)}


def check_readable(facts: Facts) -> None:
    """Raises `UsageError` for what `from_header` would refuse to read, so that nothing is trained that nobody can load."""
    try:
        text = to_metadata(facts)[KEY]
        if len(text) > MAX_HEADER_BYTES // 2:
            raise ValueError(f"takes {len(text)} bytes, over the limit of {MAX_HEADER_BYTES // 2}")
        _facts(json_object(text))
    except ValueError as error:
        raise UsageError(
            f"--dataset {facts.dataset}: a checkpoint could not be read again ({facts.images.num_classes} classes): its "
            f"description {error}"
        ) from None


def from_header(path: Path, header: Header) -> Facts:
    """The facts of a checkpoint. Raises `CheckpointError` naming the file and what is wrong with it."""
    if KEY not in header.metadata:
        raise CheckpointError(f"{path}: a safetensors file, but not one that `gan train` wrote")
    try:
        values = json_object(header.metadata[KEY])
        if isinstance(variant := values.get("variant"), str) and variant not in catalogue.names():
            raise CheckpointError(catalogue.missing(variant, str(path)))
        return _facts(values)
    except (ValueError, OverflowError, UsageError) as error:
        raise CheckpointError(f"{path}: invalid metadata: {error}") from None


def glance(path: Path, header: Header) -> dict[str, Any]:
    """What a list of many runs shows of each: its variant, preset, data set, seed, batch size, step and steps. The rest of
    its description is not looked at. Raises `CheckpointError` as `from_header` does."""
    if KEY not in header.metadata:
        raise CheckpointError(f"{path}: a safetensors file, but not one that `gan train` wrote")
    try:
        values = json_object(header.metadata[KEY])
        texts = {name: values.get(name) for name in ("variant", "preset", "dataset")}
        counts = {name: values.get(name) for name in ("seed", "batch_size", "step", "steps")}
        for name, text in texts.items():
            _require(isinstance(text, str) and len(text) <= MAX_TEXT, name)
        for name, number in counts.items():
            _require(type(number) is int and 0 <= number < 2**63, name)
    except ValueError as error:
        raise CheckpointError(f"{path}: invalid metadata: {error}") from None
    return texts | counts


def _facts(values: dict[str, Any]) -> Facts:
    if values.pop("gancli_format", None) != FORMAT:
        raise ValueError(f"written by a gan of another format than {FORMAT}; use that version")
    known = {f.name for f in dataclasses.fields(Facts)}
    for name in ("fingerprint", "fit", "held_out", "command"):
        values.setdefault(name, getattr(Facts, name))  # not in all files
    if set(values) != known:
        raise ValueError(
            f"fields {', '.join(sorted(set(values) ^ known))[:200]} are missing or unknown: written by another gan; "
            "use that version"
        )
    texts = ("kind", "variant", "preset", "dataset", "precision", "phase", "sha256", "fingerprint", "command")
    for name in texts:
        _require(isinstance(values[name], str) and len(values[name]) <= MAX_TEXT, name)
    _require(values["kind"] in ("model", "state"), "kind")
    _require(values["fit"] in ("crop", "pad", "stretch"), "fit")
    for name in ("num_images", "held_out", "seed", "batch_size", "step", "steps"):
        _require(type(values[name]) is int and 0 <= values[name] < 2**63, name)
    for name in ("ema", "epoch"):
        _require(type(values[name]) in (int, float) and values[name] >= 0, name)
        values[name] = float(values[name])
    return Facts(
        **{
            **values,
            "config": read_config(values["variant"], values["config"]),
            "images": _image_spec(values["images"]),
            "versions": _versions(values["versions"]),
            "losses": _losses(values["losses"]),
        }
    )


def read_config(variant: str, values: object) -> VariantConfig:
    """A variant's configuration from untrusted values: its options and nothing else, each within its bounds. One that is not
    there came later than the file: it has its default, which does what was done before."""
    config_class = catalogue.card(variant).config_class
    fields = {f.name: f for f in fields_of(config_class)}
    if not isinstance(values, dict):
        raise ValueError("config has an impossible value")
    values = with_current_names(values, fields.values())
    if unknown := sorted(set(values) - set(fields)):
        raise ValueError(
            f"{few(unknown)}: no option of {variant} in this version of gan; use the version that wrote the file"
        )
    config = config_class(**checked(config_class, values))
    config.check()
    return config


def _require(holds: bool, name: str) -> None:
    if not holds:
        raise ValueError(f"{name} has an impossible value")


def _image_spec(value: object) -> ImageSpec:
    match value:
        case {"channels": 1 | 3 as channels, "size": int(size), "class_names": list(names), **rest} if not rest:
            _require(1 <= size <= 8192 and len(names) <= MAX_CLASSES, "images")
            _require(all(isinstance(name, str) and len(name) <= MAX_TEXT for name in names), "class_names")
            return ImageSpec(channels, size, tuple(names))
    raise ValueError("images has an impossible value")


def _versions(value: object) -> dict[str, str]:
    _require(isinstance(value, dict) and len(value) <= 20, "versions")
    assert isinstance(value, dict)
    _require(all(isinstance(version, str) and len(version) <= 100 for version in value.values()), "versions")
    return value


def _losses(value: object) -> History:
    _require(isinstance(value, dict) and len(value) <= 100, "losses")
    assert isinstance(value, dict)
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

"""The `gan train` that a model comes from, by what its checkpoint says."""

from typing import Any

from gancli import catalogue
from gancli.config import RunConfig, fields_of
from gancli.config.option import Field
from gancli.config.resolve import preset_layers
from gancli.errors import shell_quoted
from gancli.store.facts import Facts

OF_THE_RUN = ("steps", "batch_size", "seed", "ema", "fit")  # options of a run that a checkpoint keeps


def command_of(facts: Facts) -> str:
    """The command: what the preset does not say already, with the run's length in steps. Of one's own pictures it names the
    folder, not where that lay."""
    if facts.command:
        return facts.command
    config_class = catalogue.card(facts.variant).config_class
    usual: dict[str, Any] = {field.name: field.default for field in fields_of(config_class)}
    usual |= {field.name: field.default for field in fields_of(RunConfig) if field.name in OF_THE_RUN} | {"fit": "crop"}
    for layer in preset_layers(facts.variant, config_class, facts.preset):
        usual |= layer.values
    words = ["gan", "train", "-v", facts.variant, *(["--preset", facts.preset] if facts.preset != "default" else [])]
    words += ["-d", facts.dataset, "--image-size", str(facts.images.size)]
    for field in fields_of(RunConfig):
        if field.name in OF_THE_RUN and (field.name == "steps" or getattr(facts, field.name) != usual[field.name]):
            words += _given(field, getattr(facts, field.name))
    for field in fields_of(config_class):
        if (value := getattr(facts.config, field.name)) is not None and value != usual[field.name]:
            words += _given(field, value)
    return " ".join(map(shell_quoted, words))


def _given(field: Field, value: object) -> list[str]:
    if isinstance(value, bool):
        return [field.long if value else f"--no-{field.long[2:]}"]
    return [field.long, str(value)]

"""The `gan train` command line that reproduces a run or a model: what differs from its preset. Imports no torch."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from gancli import catalogue
from gancli.config.option import Field, with_current_names
from gancli.config.resolve import NOT_KEPT, known_fields, preset_layers, resolve
from gancli.errors import GancliError, shell_quoted
from gancli.store.facts import Facts

OF_RUN = (
    "variant",
    "preset",
    "dataset",
    "steps",
    "batch_size",
    "seed",
    "ema",
)  # options of a run that a checkpoint keeps


def from_config(config: Mapping[str, object]) -> str:
    """`gan train --variant cgan --steps 500` of a `config.toml`; `""` if the configuration is not one of this version's."""
    try:
        variant = catalogue.check_name(str(config.get("variant")))
        config_class = catalogue.card(variant).config_class
        preset = str(config.get("preset", "default"))
        usual = resolve(variant, config_class, preset_layers(variant, config_class, preset))
        own = config.get(variant, {})
        fields = known_fields(config_class)
        given = with_current_names({**config, **(own if isinstance(own, dict) else {})}, fields.values())
        words = ["gan", "train", "--variant", variant, *(() if preset == "default" else ("--preset", preset))]
        for name, field in fields.items():
            of_run = hasattr(usual.run, name)
            value = given.get(name, None if of_run else field.default)  # the file may be older than the option
            if name in ("variant", "preset", *NOT_KEPT) or value is None:
                continue
            if field.check(value) != getattr(usual.run if of_run else usual.own, name):
                words += _words(field, value)
    except GancliError:
        return ""
    return " ".join(map(shell_quoted, words))


def from_facts(facts: Facts) -> str:
    """The same of a checkpoint, with the run's length in steps. Of the user's own images it names the folder, not its
    place."""
    if facts.command:
        return facts.command
    config: dict[str, object] = {name: getattr(facts, name) for name in OF_RUN}
    config |= {"image_size": facts.images.size, facts.variant: asdict(facts.config)}
    return from_config(config | ({"fit": facts.fit} if facts.fit != "crop" else {}))


def _words(field: Field, value: object) -> Iterator[str]:
    if field.kind is bool:
        yield field.long if value else f"--no-{field.long[2:]}"
        return
    for one in value if isinstance(value, list | tuple) else (value,):
        yield field.long
        yield str(one)

"""The command line that makes a run again, from its `config.toml`: what differs from what would be without it."""

from collections.abc import Iterator, Mapping

from gancli import catalogue
from gancli.config.option import Field, with_current_names
from gancli.config.resolve import NOT_KEPT, known_fields, preset_layers, resolve
from gancli.errors import GancliError, shell_quoted


def command(config: Mapping[str, object]) -> str:
    """`gan train -v cgan -d mnist --steps 500`; `""` where the configuration is not one of this version's."""
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
            value = given.get(
                name, None if hasattr(usual.run, name) else field.default
            )  # an older gan had no such option
            if name in ("variant", "preset", *NOT_KEPT) or value is None:
                continue
            if field.check(value) != getattr(usual.run if hasattr(usual.run, name) else usual.own, name):
                words += _words(field, value)
    except GancliError:
        return ""
    return " ".join(map(shell_quoted, words))


def _words(field: Field, value: object) -> Iterator[str]:
    if field.kind is bool:
        yield field.long if value else f"--no-{field.long[2:]}"
        return
    for one in value if isinstance(value, list | tuple) else (value,):
        yield field.long
        yield str(one)

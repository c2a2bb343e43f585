"""Suggestions for options, values and commands that do not exist: names of other programs (`suggestions.toml`), else similar
names (`errors.did_you_mean`)."""

import functools
import importlib.resources
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from gancli.errors import did_you_mean

# File formats, which the suffix of `-o` selects, by command; and options that other programs have for them.
ENDINGS: Mapping[str, frozenset[str]] = {
    "sample": frozenset({"png", "jpg", "webp", "npz"}),
    "export": frozenset({"onnx", "pt2"}),
    "report": frozenset({"html", "png", "svg", "pdf"}),
}
KIND = frozenset({"format", "output-format", "export-format", "file-format", "type", "ext", "extension", "suffix"})
WITH_CHECKPOINT = ("sample", "evaluate", "inspect")  # commands whose first argument is CKPT


@functools.cache
def table() -> Mapping[str, Any]:
    """The tables of `suggestions.toml`."""
    return tomllib.loads(importlib.resources.files("gancli.config").joinpath("suggestions.toml").read_text("utf-8"))


def _meant(word: str, suggestions: Mapping[str, str]) -> Iterable[str]:
    return (suggestion for suggestion, words in suggestions.items() if word in words.split())


def of_option(option: str, known: Iterable[str], command: str = "") -> str:
    """`" (did you mean --precision fp16?)"` for an unknown option of `command`, which has the `known` ones; or `""`."""
    known = set(known)
    word = option.lstrip("-").replace("_", "-").lower()
    endings = ENDINGS.get(command, ())
    if word in endings:
        return f" (did you mean -o FILE.{word}?)"
    if word in KIND and endings:
        return " (the suffix of -o FILE selects it)"
    if command == "train":
        for remark in _meant(word, table()["train"]):
            return f" ({remark})"
    for meanings in _meant(word, table()["options"]):
        for meaning in meanings.split(" or "):
            if meaning.partition(" ")[0] in known:
                return f" (did you mean {meaning}?)"
            if meaning == "CKPT" and command in WITH_CHECKPOINT:
                return f" (it is the argument CKPT: gan {command} CKPT)"
    return did_you_mean(option.replace("_", "-"), [name for name in known if name.startswith("--")])


def of_name(name: str, known: Iterable[str]) -> str:
    """The same for names of options in Python and in configuration files."""
    names = {f"--{each.replace('_', '-')}": each for each in known}
    flag, _, value = of_option(f"--{name}", names).removeprefix(" (did you mean ").removesuffix("?)").partition(" ")
    value = f' = "{value}"' if value else ""
    return f" (did you mean {names[flag]}{value}?)" if flag in names else ""


def of_value(flag: str, value: str, known: Iterable[str]) -> str:
    """The same for an unknown value of an option."""
    known = list(known)
    for meaning in _meant(value.lower(), table()["values"].get(flag, {})):
        if meaning in known:
            return f" (did you mean {meaning}?)"
    return did_you_mean(value, known)


def of_command(word: str, known: Iterable[str]) -> str:
    """The same for a command."""
    known = list(known)
    for meaning in _meant(word.lower().lstrip("-"), table()["commands"]):
        if meaning.partition(" ")[0] in known or meaning.startswith("--"):
            return f" (did you mean gan {meaning}?)"
    return did_you_mean(word, known)

"""The section `configs` in the README of a dataset of the Hugging Face Hub: configurations, and files of splits."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from gancli.events import Emit, Warned
from gancli.files import hub
from gancli.files.hub import Repository

README = "README.md"
MAX_README_BYTES = 1 << 20
MAX_PATTERN, MAX_DEEP = 300, 3  # characters, and `**`, of a pattern
SPLIT_WORDS = {
    "train": "train training",
    "validation": "validation valid val dev",
    "test": "test testing eval evaluation",
}
WORDS = {word: name for name, words in SPLIT_WORDS.items() for word in words.split()}


@dataclass(frozen=True)
class Configuration:
    """An entry of the README's `configs`: patterns of files by split (none: all), below a folder."""

    patterns: Mapping[str, Sequence[str]]
    folder: str = ""
    is_default: bool = False

    def match(self, names: Sequence[str]) -> dict[str, list[str]]:
        """Return the files of each split, of the given names."""
        parts = [(name, name.split("/")) for name in names]
        return {
            split: sorted(
                {name for name, own in parts if any(_matches(own, pattern.split("/")) for pattern in patterns)}
            )
            for split, patterns in self.patterns.items()
        }


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the parts of a name match those of a pattern, in which `**` stands for any number of folders."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return _matches(parts, pattern[1:]) or (bool(parts) and _matches(parts[1:], pattern))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def read_configurations(repository: Repository, emit: Emit, download: bool) -> dict[str, Configuration]:
    """Return the configurations in a README's front matter by name; none, with a warning, if they cannot be read."""
    if not 0 < repository.files.get(README, 0) <= MAX_README_BYTES:
        return {}
    hub.fetch(repository, [README], emit, download)
    try:
        text = (repository.folder / README).read_text("utf-8")
        head = re.match(r"\ufeff?---\r?\n(.*?\r?\n)---\s", text, re.DOTALL)
        return dict(_parsed(head[1])) if head else {}
    except Exception as error:  # of yaml's many kinds, and of damaged text
        line = f"{repository.reference}: the section configs of its README cannot be read; splits are told by names"
        emit(Warned(f"{line} ({type(error).__name__})"))
        return {}


def _parsed(text: str) -> Iterator[tuple[str, Configuration]]:
    """Parse the `configs` of YAML text. Raises `ValueError`, `KeyError`, `TypeError` and yaml's errors."""
    import yaml  # a dependency of huggingface_hub

    found: Any = yaml.safe_load(text)
    for each in (found.get("configs") if isinstance(found, dict) else None) or ():
        files = each.get("data_files")
        if isinstance(files, str) or (isinstance(files, list) and all(isinstance(one, str) for one in files)):
            files = {"train": files}
        elif isinstance(files, list):
            files = {one["split"]: one["path"] for one in files}
        patterns = {str(split): list(map(_checked, _listed(paths))) for split, paths in (files or {}).items()}
        folder = str(each.get("data_dir") or "").strip("./")
        if patterns and folder:
            patterns = {split: [f"{folder}/{path}" for path in paths] for split, paths in patterns.items()}
        patterns = {WORDS.get(split.lower(), split): paths for split, paths in patterns.items()}
        yield str(each["config_name"]), Configuration(patterns, folder, each.get("default") is True)


def _listed(paths: object) -> list[object]:
    return paths if isinstance(paths, list) else [paths]


def _checked(path: object) -> str:
    """Return a pattern without `./`. Raises `ValueError` for what is none, or too long."""
    if not isinstance(path, str) or len(path) > MAX_PATTERN or path.count("**") > MAX_DEEP:
        raise ValueError("not a pattern")
    return path.removeprefix("./")

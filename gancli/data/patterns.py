"""Datasets of several files: numbered shards, named by a folder or by a pattern. Imports no torch.

A pattern is in the name of a file, not of its folders: `*`, `?` and `[0-9]` as in a shell, and ranges such as
`{000000..000012}`, of which every file must exist.
"""

import fnmatch
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from gancli.errors import DataError
from gancli.text import few

Kind = Literal["tar", "parquet"]
TARS, TABLES, ZIP = (".tar", ".tar.gz", ".tgz"), (".parquet",), ".zip"  # suffixes
RANGE = re.compile(r"\{([0-9]{1,9})\.\.([0-9]{1,9})\}")
WILDCARD = re.compile(r"\[[^]]*\]|[*?\[]")
MAX_FILES = 100_000
# What tells shards apart: train-00000-of-00003, shards_000012, 00000, train-00000-of-00001-0123456789abcdef
NUMBER = re.compile(r"(?:^|[-_.])[0-9]+(?:-of-[0-9]+(?:-[0-9a-f]{8,})?)?$")


def kind_of(name: str) -> Kind | None:
    """Return the kind of a file of several images, by its name. A zip is of neither kind: it is never a shard."""
    lower = name.lower()
    return "tar" if lower.endswith(TARS) else "parquet" if lower.endswith(TABLES) else None


def is_archive(name: str) -> bool:
    """Whether a file may contain images, by its name."""
    return kind_of(name) is not None or name.lower().endswith(ZIP)


def is_pattern(path: str | Path) -> bool:
    """Whether a path that does not exist may stand for several files."""
    return bool(RANGE.search(name := Path(path).name) or WILDCARD.search(name))


def expand_pattern(pattern: Path) -> list[Path]:
    """Return the files that a pattern stands for, in their order; none if there is no such file. Raises `DataError` if files
    of a range are missing, or if there are too many."""
    expanded = list(itertools.islice(_expand_ranges(pattern.name), MAX_FILES + 1))
    if len(expanded) > MAX_FILES:
        raise DataError(f"--dataset {pattern}: stands for more than {MAX_FILES} files")
    if WILDCARD.search(pattern.name):
        try:
            there = sorted(entry.name for entry in pattern.parent.iterdir() if not entry.name.startswith("."))
        except OSError:
            there = []
        return [pattern.parent / name for one in expanded for name in fnmatch.filter(there, one)]
    found = expanded if expanded != [pattern.name] else []
    missing = [name for name in found if not os.path.lexists(pattern.parent / name)]
    if 0 < len(missing) < len(found):
        raise DataError(f"--dataset {pattern}: {len(missing)} of {len(found)} files are missing: {few(missing)}")
    return [] if missing else [pattern.parent / name for name in found]


def _expand_ranges(pattern: str) -> Iterator[str]:
    """Yield the names of a pattern's ranges: a-8, a-9 and a-10 of `a-{8..10}`; with a leading 0, all are equally long."""
    if (found := RANGE.search(pattern)) is None:
        yield pattern
        return
    first, last = found.groups()
    digits = max(len(first), len(last)) if first.startswith("0") or last.startswith("0") else 0
    for number in range(int(first), int(last) + 1):
        yield from _expand_ranges(f"{pattern[: found.start()]}{number:0{digits}d}{pattern[found.end() :]}")


def common_kind(where: str, files: Sequence[Path]) -> Kind:
    """Return the kind of all of several files. Raises `DataError` if there are several kinds, or others."""
    kinds = {kind_of(path.name) for path in files}
    if kinds == {"tar"} or kinds == {"parquet"}:
        return "tar" if "tar" in kinds else "parquet"
    odd = [path.name for path in files if kind_of(path.name) != kind_of(files[0].name)] or [files[0].name]
    raise DataError(
        f"--dataset {where}: several files must be all tar or all Parquet ({' '.join((*TARS, *TABLES))}), and {few(odd)} is "
        f"not like {files[0].name}; choose by a pattern, such as '*.tar', or name the folder"
    )


def shard_folders(files: Sequence[Path]) -> list[str]:
    """Return for each of several files the folder that it stands for: `train/` for train-00000-of-00003 next to test-…; ""
    if files differ by a number only. Common folders are left out."""
    parts = [(*path.parent.parts, *filter(None, [NUMBER.sub("", shard_name(path))])) for path in files]
    common = next((i for i, level in enumerate(zip(*parts, strict=False)) if len(set(level)) > 1), min(map(len, parts)))
    return ["".join(f"{part}/" for part in own[common:]) for own in parts]


def shard_name(path: Path) -> str:
    """Return the name of an archive without its suffix."""
    suffix = next((suffix for suffix in (*TARS, *TABLES, ZIP) if path.name.lower().endswith(suffix)), "")
    return path.name[: len(path.name) - len(suffix)] or path.name


def dataset_stem(path: Path) -> str:
    """Return the name of the dataset at a path: the last part without an archive's suffix and a pattern's wildcards."""
    name = shard_name(path)
    if is_pattern(name) and not os.path.lexists(path):
        fixed = WILDCARD.sub("", RANGE.sub("", name)).strip("-_. ")
        return fixed or path.absolute().parent.name or "data"
    return name

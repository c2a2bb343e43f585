"""Data sets of several files: numbered shards, told by a folder, a pattern with braces, or a glob. Imports no torch."""

import glob
import itertools
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from gancli.errors import DataError
from gancli.text import few

Kind = Literal["tar", "parquet"]
TARS, TABLES = (".tar", ".tar.gz", ".tgz"), (".parquet",)  # suffixes
ZIP = ".zip"
BRACES = re.compile(r"\{([0-9]{1,9})\.\.([0-9]{1,9})\}|\{([^{}]*,[^{}]*)\}")
MAGIC = re.compile(r"[*?\[]")
MAX_FILES = 100_000
# train-00000-of-00003, shards_000012, 00000, train-00000-of-00001-0123456789abcdef: what tells one shard from the others
NUMBER = re.compile(r"(?:^|[-_.])[0-9]+(?:-of-[0-9]+(?:-[0-9a-f]{8,})?)?$")


def kind_of(name: str) -> Kind | None:
    """What a file of several pictures is, by its name. Zips are none of these: they are never shards."""
    lower = name.lower()
    return "tar" if lower.endswith(TARS) else "parquet" if lower.endswith(TABLES) else None


def is_archive(name: str) -> bool:
    """Whether a file's name says that pictures may lie inside of it."""
    return kind_of(name) is not None or name.lower().endswith(ZIP)


def is_pattern(path: str | Path) -> bool:
    """Whether a path that does not exist may stand for several files."""
    rest = _parted(Path(path))[1]
    return bool(BRACES.search(rest) or MAGIC.search(rest))


def _parted(path: Path) -> tuple[Path, str]:
    """A pattern's folder, which exists, as it stands, whatever its name, and the rest."""
    try:
        base = next((parent for parent in path.parents if parent.is_dir()), Path())
        return base, str(path.relative_to(base))
    except (OSError, ValueError):  # names that no file can have
        return Path(), str(path)


def matching(pattern: Path) -> list[Path]:
    """The files that a pattern stands for, in its order; none where nothing is named so. Raises `DataError` for a shard of a
    range that is missing, and for what is neither tar nor Parquet."""
    base, rest = _parted(pattern)
    found: dict[str, None] = {}
    for name in itertools.islice(_without_braces(rest), MAX_FILES + 1):
        if MAGIC.search(name):
            found.update(dict.fromkeys(sorted(glob.glob(name, root_dir=base))))  # noqa: PTH207 - folders may be open, too
        elif name != rest:
            found[name] = None
    if len(found) > MAX_FILES:
        raise DataError(f"--dataset {pattern}: stands for more than {MAX_FILES} files")
    missing = [name for name in found if not os.path.lexists(base / name)]
    if len(missing) == len(found):
        return []
    if missing:
        raise DataError(f"--dataset {pattern}: {len(missing)} of {len(found)} files are missing: {few(missing)}")
    return [base / name for name in found]


def _without_braces(pattern: str) -> Iterable[str]:
    """`a-{8..10}` is a-8, a-9, a-10, as in a shell; `{08..10}` has as many digits as it says; `{a,b}` is a and b."""
    if (found := BRACES.search(pattern)) is None:
        return (pattern,)
    first, last, words = found.groups()
    middles: Iterable[str]
    if words is not None:
        middles = words.split(",")
    else:
        digits = max(map(len, (first, last))) if first.startswith("0") or last.startswith("0") else 0
        low, high = int(first), int(last)
        numbers = range(low, high + 1) if low <= high else range(low, high - 1, -1)
        middles = (f"{number:0{digits}d}" for number in numbers)
    head, tail = pattern[: found.start()], pattern[found.end() :]
    return (name for middle in middles for name in _without_braces(f"{head}{middle}{tail}"))


def only_kind(where: str, files: Sequence[Path]) -> Kind:
    """The kind that all of several files are of. Raises `DataError`."""
    kinds = {kind_of(path.name) for path in files}
    if strange := [path.name for path in files if kind_of(path.name) is None]:
        raise DataError(
            f"--dataset {where}: several files must be tar or Parquet ({', '.join((*TARS, *TABLES))}), and {few(strange)} "
            "is not; name the folder instead"
        )
    if len(kinds) > 1:
        raise DataError(
            f"--dataset {where}: holds tar and Parquet files; name those of one kind, such as '{where}/*.tar'"
        )
    return "tar" if "tar" in kinds else "parquet"


def groups(files: Sequence[Path]) -> list[str]:
    """For each of several files the folder that it stands for: `train/` for train-00000-of-00003 beside test-…; "" where
    they differ by number only. What lies in all of their folders is left out."""
    root = os.path.commonpath([path.parent for path in files]) if len(files) > 1 else files[0].parent
    parts = [_parts(path.relative_to(root)) for path in files]
    common = next(
        (depth for depth, level in enumerate(zip(*parts, strict=False)) if len(set(level)) > 1), min(map(len, parts))
    )
    return ["".join(f"{part}/" for part in own[common:]) for own in parts]


def _parts(path: Path) -> list[str]:
    own = NUMBER.sub("", _plain(path.name))
    return [*path.parts[:-1], *([own] if own else [])]


def _plain(name: str) -> str:
    ending = next((suffix for suffix in (*TARS, *TABLES, ZIP) if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(ending)] or name


def shard_name(path: Path) -> str:
    """A shard's name without its ending."""
    return _plain(path.name)


def stem(path: Path) -> str:
    """What a data set is called by its path: the last part without the ending of an archive, nor what a pattern leaves
    open."""
    name = _plain(path.name)
    if is_pattern(name) and not os.path.lexists(path):
        left = MAGIC.sub("", re.sub(r"\[[^]]*\]", "", BRACES.sub("", name))).strip("-_. ")
        return left or path.absolute().parent.name or "data"
    return name

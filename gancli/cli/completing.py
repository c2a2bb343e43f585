"""Tab completion: what may stand where, without torch. Where nothing is known the shell completes paths in its own way."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import typer

from gancli.config.evaluate import METRICS
from gancli.data import cache_entries
from gancli.data.names import source_names
from gancli.errors import GancliError
from gancli.store import names
from gancli.store.facts import from_header
from gancli.store.header import read_header
from gancli.store.rundir import RunDirectory, model_file

Completer = Callable[[str], list[str]]
ARGUMENTS = "gancli.arguments"  # key in a context's meta: the arguments of the command
DEVICES = ("auto", "cpu", "cuda", "cuda:0", "mps")
MOST = 200  # more are no help
PLAIN = frozenset(" \t\n\"'\\$&;|<>()*?[]#~`!{}")  # what a shell takes for something else


def of(words: Callable[[], Iterable[str]]) -> Completer:
    """Completion from what `words()` gives when Tab is pressed."""

    def complete(incomplete: str) -> list[str]:
        return _some(word for word in words() if word.startswith(incomplete))

    return complete


def of_list(words: Callable[[], Iterable[str]]) -> Completer:
    """The same for several of them with commas between."""

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        given = set(before.split(","))
        return _some(before + comma + word for word in words() if word.startswith(last) and word not in given)

    return complete


def checkpoint(incomplete: str) -> list[str]:
    """Pretrained models, runs and checkpoints."""
    return _beside(names.names(), incomplete, {names.SUFFIX})


def run(incomplete: str) -> list[str]:
    """What a run may go on from."""
    return _beside(("auto",), incomplete, {names.SUFFIX})


def dataset(incomplete: str) -> list[str]:
    """Data sets by name, folders, and files that hold pictures."""
    return _beside(source_names(), incomplete, {".zip", ".tar", ".npz", ".npy", ".parquet"})


metrics = of_list(lambda: METRICS)
devices = of(lambda: DEVICES)


def label(context: typer.Context, incomplete: str) -> list[str]:
    """The classes of the model that the command line names."""
    for word in context.meta.get(ARGUMENTS, ()):
        if not word.startswith("-"):
            with contextlib.suppress(GancliError, OSError, ValueError):
                file = model_file(names.located(word).path)
                found = from_header(file, read_header(file)).images.class_names
                return of_list(lambda found=found: (*found, "all"))(incomplete) if found else []  # type: ignore[misc]
    return []


def cached(incomplete: str) -> list[str]:
    """What data sets the cache holds something of."""
    from gancli.config import paths
    from gancli.config.run import DATA_ROOT

    with contextlib.suppress(GancliError, OSError):
        folder = paths.data_root(os.environ.get("GAN_DATA", DATA_ROOT)).path / "cache"
        return of(lambda: sorted({Path(one.source).name for one in cache_entries.list_entries(folder)} - {""}))(
            incomplete
        )
    return []


def _beside(known: Iterable[str], incomplete: str, suffixes: set[str]) -> list[str]:
    """Names, and beside them the paths that go on like that. Nothing where no name does but for what lies in a folder of
    runs, so that the shell completes paths in its own way."""
    named = [name for name in known if name.startswith(incomplete)]
    found = list(_paths(incomplete, suffixes))
    runs = [path for path in found if not path.endswith("/")]
    return _some([*named, *found]) if named or runs else []


def _paths(incomplete: str, suffixes: set[str]) -> Iterator[str]:
    """Folders (runs without a slash, as they are whole) and files of these suffixes."""
    folder, slash, beginning = incomplete.rpartition("/")
    try:
        entries = sorted(Path(f"{folder}{slash}" or ".").iterdir())
    except (OSError, ValueError):
        return
    for path in entries:
        if path.name.startswith(beginning or "") and (beginning.startswith(".") or not path.name.startswith(".")):
            word = f"{folder}{slash}{path.name}"
            with contextlib.suppress(OSError):
                if path.is_dir():
                    its_own = names.SUFFIX in suffixes and RunDirectory(path).holds_run
                    yield word if its_own else f"{word}/"
                elif path.suffix.lower() in suffixes:
                    yield word


def _some(words: Iterable[str]) -> list[str]:
    """Those that a shell can be given as they are, not too many."""
    found = [word for word in words if word.isprintable() and not PLAIN & set(word)]
    return found[:MOST]

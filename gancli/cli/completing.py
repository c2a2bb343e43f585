"""Complete values on Tab, without torch. The shell itself completes paths where nothing is returned."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import typer

from gancli import catalogue
from gancli.catalogue import outside
from gancli.config.evaluate import METRICS
from gancli.config.run import DATA_ROOT, DEVICES
from gancli.data import cache_entries
from gancli.data.names import dataset_names
from gancli.errors import GancliError
from gancli.store import pretrained
from gancli.store.facts import from_header
from gancli.store.header import read_header
from gancli.store.run_directory import RunDirectory, model_file

Completer = Callable[[str], list[str]]
ARGUMENTS = "gancli.arguments"  # key in a context's meta: the arguments of the command
MAX_VALUES = 200
SPECIAL = frozenset(" \t\n\"'\\$&;|<>()*?[]#~`!{}")  # characters that have a meaning for shells


def one_of(values: Callable[[], Iterable[str]]) -> Completer:
    """Return a completer of one of the `values()`, which are computed when Tab is pressed."""
    return lambda incomplete: _without_quotes(value for value in values() if value.startswith(incomplete))


def several_of(values: Callable[[], Iterable[str]]) -> Completer:
    """Return a completer of several of the `values()`, separated by commas."""

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        given = set(before.split(","))
        return _without_quotes(
            before + comma + value for value in values() if value.startswith(last) and value not in given
        )

    return complete


def checkpoint(incomplete: str) -> list[str]:
    """Complete a pretrained model, a run or a checkpoint."""
    return _names_and_paths(pretrained.pretrained_names(), incomplete, {pretrained.SUFFIX})


def run(incomplete: str) -> list[str]:
    """Complete the value of `--resume`."""
    return _names_and_paths(("auto",), incomplete, {pretrained.SUFFIX})


def dataset(incomplete: str) -> list[str]:
    """Complete a named dataset, a folder, or a file that contains images."""
    return _names_and_paths(dataset_names(), incomplete, {".zip", ".tar", ".npz", ".npy", ".parquet"})


metrics = several_of(lambda: METRICS)
devices = one_of(lambda: DEVICES)


def label(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the classes of the model on the command line."""
    for argument in context.meta.get(ARGUMENTS, ()):
        with contextlib.suppress(GancliError, OSError, ValueError):
            file = model_file(pretrained.resolve_checkpoint(argument).path)
            class_names = from_header(file, read_header(file)).images.class_names
            return several_of(lambda found=class_names: (*found, "all") if found else ())(incomplete)  # type: ignore[misc]
    return []


def variant(incomplete: str) -> list[str]:
    """Names of variants, and files that may contain one."""
    return _names_and_paths(catalogue.names(), incomplete, {outside.SUFFIX})


def cached(incomplete: str) -> list[str]:
    """Complete the datasets that have an entry in the cache."""
    from gancli.config import paths

    with contextlib.suppress(GancliError, OSError):
        folder = paths.data_root(os.environ.get("GAN_DATA", DATA_ROOT)).path / "cache"
        entries = {Path(entry.source).name for entry in cache_entries.list_entries(folder)}
        return _without_quotes(name for name in sorted(entries) if name and name.startswith(incomplete))
    return []


def _names_and_paths(known: Iterable[str], incomplete: str, suffixes: set[str]) -> list[str]:
    """Return names and paths that begin with `incomplete`; nothing for folders alone, which the shell completes itself."""
    named = [name for name in known if name.startswith(incomplete)]
    found = list(_paths(incomplete, suffixes))
    return _without_quotes([*named, *found]) if named or not all(path.endswith("/") for path in found) else []


def _paths(incomplete: str, suffixes: set[str]) -> Iterator[str]:
    """Yield folders (runs without a final slash) and files of these suffixes."""
    folder, slash, beginning = incomplete.rpartition("/")
    with contextlib.suppress(OSError, ValueError):
        for path in sorted(Path(f"{folder}{slash}" or ".").glob(f"{'.' if beginning.startswith('.') else '[!.]'}*")):
            path_text = f"{folder}{slash}{path.name}"
            if not path.name.startswith(beginning):
                continue
            if path.is_dir():
                yield path_text if pretrained.SUFFIX in suffixes and RunDirectory(path).holds_run else f"{path_text}/"
            elif path.suffix.lower() in suffixes:
                yield path_text


def _without_quotes(values: Iterable[str]) -> list[str]:
    """Return the first values that need no quotes in a shell."""
    return [value for value in values if value.isprintable() and not SPECIAL & set(value)][:MAX_VALUES]

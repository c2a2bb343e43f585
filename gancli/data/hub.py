"""Datasets of the Hugging Face Hub: which files of a repository are fetched, and how they are opened.

Fetched are Parquet files, else tars, else a zip, else images, of one split; never scripts, pickles or other files. Splits
are those of the section `configs` in the repository's README, else words in the names of files and folders."""

import contextlib
import dataclasses
import itertools
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from gancli.data.formats import is_image
from gancli.data.hub_configs import README, WORDS, Configuration, read_configurations
from gancli.data.label_files import LABEL_FILES
from gancli.data.names import Split
from gancli.data.options import DatasetOptions, Selection
from gancli.data.patterns import TABLES, TARS, ZIP
from gancli.errors import DataError, UsageError
from gancli.events import Emit, Event, Warned, ignore
from gancli.files import hub
from gancli.files.hub import Reference, Repository
from gancli.format import size
from gancli.text import Note, counted, few

if TYPE_CHECKING:
    from gancli.data.dataset import Dataset

FLAG = "--dataset"
KINDS: Mapping[str, Callable[[str], bool]] = {
    "Parquet file": lambda name: name.lower().endswith(TABLES),
    "tar": lambda name: name.lower().endswith(TARS),
    "zip": lambda name: name.lower().endswith(ZIP),
    "image": is_image,
}
SHARD = re.compile(r"(.+)-[0-9]{5}-of-[0-9]{5}")
WORD = re.compile(rf"(?<![a-z0-9])({'|'.join(sorted(WORDS, key=len, reverse=True))})(?![a-z])")


class Local(NamedTuple):
    """A folder or file that was fetched, and the split to take of it. `files`: of several shards in a folder, else none;
    `repository`: where they are from."""

    path: Path
    files: Sequence[Path]
    split: Split
    repository: Repository

    @contextlib.contextmanager
    def named(self, emit: Emit) -> Iterator[Emit]:
        """In messages, replace the folder of the cache by the name of the repository. Yields the `emit` for that."""
        folder, name = str(self.repository.folder), str(self.repository.reference)

        def renamed(event: Event) -> None:
            if isinstance(event, Warned):
                event = Warned(type(event.message)(event.message.replace(folder, name)))
            emit(event)

        try:
            yield renamed
        except DataError as error:
            raise DataError(str(error).replace(folder, name)) from error
        except UsageError as error:
            raise UsageError(str(error).replace(folder, name)) from error


@dataclass(frozen=True)
class Chosen:
    """The files of a dataset by split, all of one kind. `split` is trained on; `test` is evaluated on (`split` if there
    is no other). `labels`: files with labels of images; `folder`: of images whose folders say splits and classes, else
    None; `left_out`: other files."""

    kind: str
    splits: Mapping[str, Sequence[str]]
    split: str
    test: str
    labels: Sequence[str]
    folder: str | None
    left_out: Sequence[str]


def open_hub(dataset: str, options: DatasetOptions, emit: Emit) -> "Dataset":
    """Open a dataset of the hub as `opening.open_dataset` does. Raises `UsageError` and `DataError`."""
    from gancli.data.folder import open_folder

    def opened(split: Split, emit: Emit) -> "Dataset":
        found = local(dataset, options.selection, split, options.download, emit)
        with found.named(emit) as emit:
            return open_folder(found.path, dataclasses.replace(options, split=found.split), emit, found.files)

    source = opened(options.split, emit)
    if options.split == "test" and source.class_names:
        source = _with_classes(source, opened("train", ignore).class_names, dataset, emit)
    return dataclasses.replace(source, name=dataset)


def local(dataset: str, selection: Selection, split: Split, download: bool, emit: Emit) -> Local:
    """Fetch the files of a split, and return where they are. Raises `UsageError` and `DataError`."""
    repository = hub.listed(hub.parse(dataset, FLAG), "dataset", FLAG, download)
    chosen = choose(repository, selection, read_configurations(repository, emit, download))
    part = chosen.split if split == "train" else chosen.test
    whole = chosen.folder is not None or len(chosen.splits) == 1
    names = sorted(itertools.chain(*chosen.splits.values())) if whole else list(chosen.splits[part])
    where = "" if whole else f" of the split {part}"
    if chosen.kind == "zip" and len(names) > 1:
        raise UsageError(f"{FLAG} {dataset}: several zips{where} ({few(names)}), of which only one can be read")
    folder = chosen.folder
    if folder is None and chosen.kind == "image":
        folder = _only_folder(repository, names, part)
    num_bytes = hub.fetch(repository, [*names, *chosen.labels], emit, download)
    line = f"{repository.reference}: {counted(len(names), chosen.kind, ',')}{where}, {size(num_bytes)}"
    if chosen.left_out:
        line += f"; left out: {counted(len(chosen.left_out), 'other file', ',')} ({few(chosen.left_out)})"
    emit(Warned(Note(line)))
    files = [repository.folder / name for name in names] if folder is None and len(names) > 1 else []
    if folder is None:
        folder = posixpath.commonpath(list(map(posixpath.dirname, names))) if files else names[0]
    return Local(repository.folder / folder, files, "train" if chosen.folder is None else split, repository)


def choose(repository: Repository, selection: Selection, configurations: "Mapping[str, Configuration]") -> Chosen:
    """Choose the files of a repository. Raises `UsageError` if a choice must be made by the user, and `DataError` if no
    file can be read."""
    reference, where = repository.reference, f"{FLAG} {repository.reference}"
    safe = [name for name in sorted(repository.files) if hub.is_safe(name)]
    configuration = _configuration(reference, configurations)
    prefix = configuration.folder if configuration else reference.part
    below = [name for name in safe if not prefix or name.startswith(f"{prefix}/")]
    by_pattern = configuration.match(below) if configuration else {}
    within = sorted(set(itertools.chain(*by_pattern.values()))) if by_pattern else below
    kind = next((kind for kind, is_kind in KINDS.items() if any(map(is_kind, within))), None)
    if kind is None:
        raise DataError(f"{where}: {_nothing_to_read(repository, within)}")
    names = list(filter(KINDS[kind], within))
    if kind == "Parquet file" and not by_pattern:
        _check_one_configuration(reference, names)
    by_folders = kind == "image" and not by_pattern and selection.split is None
    splits = {"train": names} if by_folders else by_pattern or _by_split(names)
    splits = {split: found for split in splits if (found := list(filter(KINDS[kind], splits[split])))}
    split = _split(where, splits, selection.split)
    tests = [other for other in ("test", "validation") if other in splits and other != split]
    labels = [name for name in below if posixpath.basename(name) in LABEL_FILES] if kind == "image" else []
    left_out = {*repository.files} - {*itertools.chain(*splits.values()), *labels, README, ".gitattributes"}
    return Chosen(kind, splits, split, [*tests, split][0], labels, prefix if by_folders else None, sorted(left_out))


def _split(where: str, splits: Mapping[str, object], asked: str | None) -> str:
    """Return the split to train on. Raises `UsageError` if it does not exist, or if one must be chosen."""
    if asked is not None:
        if (found := WORDS.get(asked.lower(), asked)) not in splits and (found := asked) not in splits:
            raise UsageError(f"--split {asked}: {where.removeprefix(f'{FLAG} ')} has the splits {', '.join(splits)}")
        return found
    if "train" in splits or len(splits) == 1:
        return "train" if "train" in splits else next(iter(splits))
    raise UsageError(f"{where}: has no split train; choose one with --split: {few(list(splits), 8)}")


def _nothing_to_read(repository: Repository, names: Sequence[str]) -> str:
    """Return why no file of a repository can be read."""
    reference = repository.reference
    if not names and reference.part:
        folders = sorted({name.partition("/")[0] for name in repository.files if "/" in name and hub.is_safe(name)})
        return f"has no configuration or folder {reference.part}; it has {few(folders, 8) or 'none'}"
    script = next((name for name in names if name.endswith(".py")), None)
    if script is not None:
        return (
            f"only has a script that loads it ({script}), which gan never runs; the hub may have it as Parquet files: "
            f"{hub.PREFIX}{reference.repo}@refs/convert/parquet"
        )
    return f"has no Parquet files, tars, zip or images; it has {few(sorted(repository.files)) or 'no files'}"


def _by_split(names: Sequence[str]) -> dict[str, list[str]]:
    """Return the files by the split in their names, but for names without; all are `train` if no name has one."""
    found: dict[str, list[str]] = {}
    for name in names:
        if (split := _split_in_name(name)) is not None:
            found.setdefault(split, []).append(name)
    return found or {"train": list(names)}


def _split_in_name(name: str) -> str | None:
    """Return the split in a file's name, else in that of the innermost folder: `data/train-00000-of-00003.parquet`."""
    path = PurePosixPath(name)
    for part in (path.name.partition(".")[0], *reversed(path.parts[:-1])):
        if found := WORD.findall(part.lower()):
            return WORDS[found[0]]
        if shard := SHARD.fullmatch(part):
            return shard[1]
    return None


def _check_one_configuration(reference: Reference, names: Sequence[str]) -> None:
    """Raises `UsageError` if Parquet files of one split are in several folders, which are the configurations of a
    dataset."""
    folders = sorted({_configuration_folder(name) for name in names})
    if len(folders) > 1:
        raise _several(reference, [folder or "." for folder in folders])


def _configuration_folder(name: str) -> str:
    parts = PurePosixPath(name).parts[:-1]
    while parts and WORDS.get(parts[-1].lower()):
        parts = parts[:-1]
    return "/".join(parts)


def _several(reference: Reference, names: Sequence[str]) -> UsageError:
    example = dataclasses.replace(reference, part=next(name for name in names if name != "."))
    return UsageError(
        f"{FLAG} {reference}: has several configurations ({few(names, 8)}); choose one, such as {example}"
    )


def _configuration(reference: Reference, configurations: Mapping[str, Configuration]) -> Configuration | None:
    """Return the configuration that the reference names, or the default one; None if files are chosen by their folders.
    Raises `UsageError` if one must be chosen."""
    default = [name for name, each in configurations.items() if each.is_default or name == "default"]
    name = reference.part or next(iter([*default, *configurations]), "")
    if len(configurations) > 1 and not reference.part and not default:
        raise _several(reference, list(configurations))
    found = configurations.get(name)
    return found if found is not None and (found.patterns or found.folder) else None


def _only_folder(repository: Repository, names: Sequence[str], split: str) -> str:
    """Return the folder that has the images of a split, and no others. Raises `UsageError`."""
    folder = posixpath.commonpath(list(map(posixpath.dirname, names)))
    inside = {name for name in repository.files if is_image(name) and name.startswith(f"{folder}/" if folder else "")}
    if others := sorted(inside - {*names}):
        where = f"{repository.reference}, which also has {few(others)}"
        raise UsageError(
            f"--split {split}: its images have no folder of their own in {where}; download them, and give a folder with -d"
        )
    return folder


def _with_classes(test: "Dataset", known: Sequence[str], dataset: str, emit: Emit) -> "Dataset":
    """Return a test split with the numbers that the training split gives its classes. Images of other classes are left out,
    with a warning. Raises `DataError` if none is left."""
    import torch

    from gancli.data.names import match_names

    if not known or tuple(known) == test.class_names:
        return test if known else dataclasses.replace(test, labels=torch.zeros_like(test.labels), class_names=())
    numbers = match_names(test.class_names, known)
    table = torch.tensor([-1 if number is None else number for number in numbers])
    labels = table[test.labels]
    whole = labels >= 0
    strange = [name for name, number in zip(test.class_names, numbers, strict=True) if number is None]
    if not bool(whole.any()):
        raise DataError(f"{FLAG} {dataset}: none of the test split's classes ({few(strange)}) is in the training split")
    if strange:
        line = f"{counted(int((~whole).sum()), 'image')} of the test split left out: of other classes ({few(strange)})"
        emit(Warned(line))
        return dataclasses.replace(
            test, images=test.images[whole], labels=labels[whole], class_names=tuple(known), mapped_file=None, digest=""
        )
    return dataclasses.replace(test, labels=labels, class_names=tuple(known))

"""Find the splits and the classes of a dataset, by the names of its folders and by its labels.

First, a folder that contains all others is entered, and folders named `train` and `test` (or `val`, …) are the splits. Then
the labels of a file or container are the classes of a split; without labels, its subfolders are.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gancli.data.image_files import ImageFiles
from gancli.data.names import Split, canonical, match_names, natural_order
from gancli.errors import DataError
from gancli.text import Note, counted, few, printable

SPLIT_WORDS: Mapping[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "test": ("test", "testing", "val", "valid", "validation"),
}
ANY_WORD = "|".join(sorted((word for words in SPLIT_WORDS.values() for word in words), key=len, reverse=True))
SPLIT_NAME = re.compile(f"({ANY_WORD})(?:set)?([0-9]*|[ab])")  # train2017; trainA next to trainB
FILLERS = frozenset({"set", "data", "dataset", "split", "image", "images", "img", "imgs", "picture", "pictures"})
Groups = Mapping[str, Sequence[str]]  # the images of each folder or class


@dataclass(frozen=True)
class Layout:
    """The images of a split, sorted by name, each with its class (0 without classes); the classes' names; messages."""

    labels: Mapping[str, int]
    class_names: tuple[str, ...]
    notes: tuple[str, ...]


class Level(NamedTuple):
    """The images below the folder `prefix` ("" or "a/b/"): those of each folder there, and those in none."""

    prefix: str
    folders: Groups
    loose: Sequence[str]

    def images(self) -> list[str]:
        """Return all images of the level."""
        return [*self.loose, *(name for inside in self.folders.values() for name in inside)]


def level_of(prefix: str, images: Iterable[str]) -> Level:
    """Return the level below a prefix with which all of `images` begin."""
    folders: dict[str, list[str]] = {}
    loose: list[str] = []
    for name in images:
        head, slash, _ = name[len(prefix) :].partition("/")
        (folders.setdefault(head, []) if slash else loose).append(name)
    return Level(prefix, folders, loose)


def parse_split(folder: str) -> tuple[Split, int, tuple[str, ...]] | None:
    """Return the split that the name of a folder says, how plainly (0: most), and the rest of the name (`seg_train` goes
    with `seg_test`); None for other names."""
    words = [word for word in re.split(r"[ _.-]+", canonical(folder)) if word]
    found = [(at, match) for at, word in enumerate(words) if (match := SPLIT_NAME.fullmatch(word))]
    if len(found) != 1:
        return None
    ((at, match),) = found
    rest = tuple(word for word in (*words[:at], match[2], *words[at + 1 :]) if word and word not in FILLERS)
    split: Split = "train" if match[1] in SPLIT_WORDS["train"] else "test"
    return split, SPLIT_WORDS[split].index(match[1]), rest


def find_split_pairs(folders: Iterable[str]) -> list[dict[Split, list[str]]]:
    """Return the folders that are the train and test splits of one thing, by the rest of their names (`trainA`, `testA`);
    of each split the plainest name first."""
    groups: dict[tuple[str, ...], dict[Split, list[tuple[int, bool, str]]]] = {}
    for folder in sorted(folders):
        if (found := parse_split(folder)) is not None:
            split, rank, rest = found
            groups.setdefault(rest, {}).setdefault(split, []).append((rank, folder != canonical(folder), folder))
    pairs = [group for group in groups.values() if len(group) == 2]
    return [{split: [folder for _, _, folder in sorted(names)] for split, names in pair.items()} for pair in pairs]


def find_layout(pictures: ImageFiles, split: Split, with_classes: bool = True) -> Layout:
    """Return the images of `split` (without `with_classes`: of the train split) and their classes. A dataset without splits
    is its own test split, whose classes are those of the train split. Raises `DataError` if there are no images."""
    if not pictures.found.marks:
        problems = "".join(f"; {note}" for note in pictures.notes())
        raise DataError(
            f"--dataset {pictures.path}: holds no images (.png .jpg .webp .bmp .gif .tif, also in subfolders){problems}"
        )
    return LayoutFinder(pictures).find(split, with_classes)


class LayoutFinder:
    """Finds the layout of a folder or archive. `notes`: messages on what was left out."""

    def __init__(self, pictures: ImageFiles) -> None:
        self._pictures, self._where = pictures, printable(f"--dataset {pictures.path}")
        self.notes: list[str] = []
        self._subfolders: dict[str, set[str]] = {}  # also those without images
        for folder in pictures.found.folders:
            parent, slash, name = folder.rpartition("/")
            self._subfolders.setdefault(parent + slash, set()).add(name)

    def find(self, split: Split, with_classes: bool) -> Layout:
        """Return the layout, as `find_layout` does."""
        top = self._enter(level_of("", sorted(self._pictures.found.marks)))
        train, test = self._find_splits(top)
        if not with_classes:
            return self._unlabelled(train.images())
        groups, rest, what = self._group(train := self._enter(train))
        if len(rest) >= (num_labelled := sum(map(len, groups.values()))) and len(groups) > 1:
            total = num_labelled + len(rest)
            self.notes.append(f"no classes: {len(rest)} of {total} images are not {what} ({few(rest)})")
            groups = {}
        if len(groups) < 2:
            return self._unlabelled((test if test and split == "test" else train).images())
        classes = natural_order(groups)
        if test and split == "test":
            return self._find_test_classes(test, classes)
        self._leave_out(rest, f"not {what}, as the others are")
        return self._numbered(groups, classes)

    def _enter(self, level: Level, classes: Sequence[str] = ()) -> Level:
        """Enter folders, except `classes`, that contain all images, or most of them and folders. The rest is left out."""
        known = set(map(canonical, classes))
        while len(level.folders) == 1 and not self._find_pairs(level):
            ((folder, inside),) = level.folders.items()
            deeper = level_of(f"{level.prefix}{folder}/", inside)
            is_wrapper = not level.loose or (deeper.folders and len(level.loose) < len(inside))
            if canonical(folder) in known or not is_wrapper:
                break
            self._leave_out(level.loose, f"next to {printable(folder)}, which contains the others")
            level = deeper
        return level

    def _find_pairs(self, level: Level) -> list[dict[Split, list[str]]]:
        pairs = find_split_pairs({*level.folders, *self._subfolders.get(level.prefix, ())})
        return [pair for pair in pairs if not level.folders.keys().isdisjoint(pair["train"] + pair["test"])]

    def _find_splits(self, top: Level) -> tuple[Level, Level | None]:
        """Return the train split and, if it has images, the test split. Raises `DataError` if there are no images to train
        on, or if there are several train and test folders."""
        pairs = self._find_pairs(top)
        below = [level_of(f"{top.prefix}{folder}/", inside) for folder, inside in top.folders.items()]
        own = [level.prefix[:-1] for level in below if self._find_pairs(level)]
        if len(pairs) > 1 or (not pairs and len(own) > 1):
            several = own if not pairs else [pair["train"][0] for pair in pairs]
            raise DataError(
                f"{self._where}: there are several train and test folders ({few(several)}); name one folder with --dataset, "
                "or move the images of each class into train/CLASS and test/CLASS"
            )
        if not pairs:
            return top, None
        ((trains, tests),) = ((pair["train"], pair["test"]) for pair in pairs)
        others = [
            name for folder, inside in top.folders.items() if folder not in (trains[0], *tests) for name in inside
        ]
        self._leave_out(
            [*top.loose, *others], f"next to {printable(trains[0])} and {printable(tests[0])}, which are splits"
        )
        train, test = (level_of(f"{top.prefix}{f}/", top.folders.get(f, ())) for f in (trains[0], tests[0]))
        if not train.images():
            raise DataError(f"{self._where}: {printable(trains[0])} contains no images that can be read")
        return train, test if test.images() else None

    def _group(self, level: Level) -> tuple[Groups, Sequence[str], str]:
        """Return the images of each class, the rest, and what the rest lacks."""
        labels = self._pictures.labels(level.prefix)
        if labels is not None and labels.problem:
            line = f"no labels {labels.place}: {labels.problem}"
            self.notes.append(Note(line) if labels.is_ignored else line)
        if labels is None or labels.is_ignored:
            named = [name for name in level.folders if (found := parse_split(name)) is not None and not found[2]]
            if named and len(level.folders) > 1:
                self.notes.append(Note(f"classes, not splits, as there is no pair: {few(natural_order(named))}"))
            return level.folders, level.loose, "in a class folder"
        groups: dict[str, list[str]] = {}
        rest, images = list[str](), sorted(level.images())
        for name in images:
            label = labels.by_name.get(name[len(level.prefix) :])
            (rest if label is None else groups.setdefault(str(label), [])).append(name)
        if rest and labels.is_required:
            reason = f": {labels.reason}" if labels.reason else ""
            raise DataError(
                f"{self._where}: {len(rest)} of {counted(len(images), 'image')} have no label {labels.place}, which the "
                f"others have ({few(rest)}){reason}; --on-bad-image skip leaves them out"
            )
        known = {name[len(level.prefix) :] for name in images}
        if gone := [name for name in labels.by_name if name not in known]:
            self.notes.append(f"{counted(len(gone), 'label')} {labels.place} without an image ({few(gone)})")
        return groups, rest, f"labelled {labels.place}"

    def _find_test_classes(self, test: Level, classes: tuple[str, ...]) -> Layout:
        """Return the test split, with the numbers of the `classes` of the train split."""
        groups, rest, _ = self._group(test := self._enter(test, classes))
        if not groups:
            self.notes.append(Note("the images of the test split have no classes: metrics use them without labels"))
            return self._unlabelled(rest)
        numbers = match_names(tuple(groups), classes)
        strange = natural_order(name for name, number in zip(groups, numbers, strict=True) if number is None)
        if len(strange) == len(groups):
            raise DataError(
                f"{self._where}: none of the classes of the test split ({few(strange)}) is a class of the train split "
                f"({few(classes)})"
            )
        left_out = [*rest, *(name for own in strange for name in groups[own])]
        self._leave_out(left_out, "of the test split, not in a class of the train split")
        if missing := [name for number, name in enumerate(classes) if number not in numbers]:
            count = f"{len(missing)} of {counted(len(classes), 'class')}"
            self.notes.append(f"the test split has no images of {count} ({few(missing)})")
        return self._numbered(groups, classes)

    def _numbered(self, groups: Groups, classes: tuple[str, ...]) -> Layout:
        numbers = zip(groups.values(), match_names(tuple(groups), classes), strict=True)
        labels = {name: number for inside, number in numbers if number is not None for name in inside}
        return Layout(dict(sorted(labels.items())), classes, tuple(dict.fromkeys(self.notes)))

    def _unlabelled(self, images: Sequence[str]) -> Layout:
        return Layout(dict.fromkeys(sorted(images), 0), (), tuple(dict.fromkeys(self.notes)))

    def _leave_out(self, images: Sequence[str], why: str) -> None:
        if images:
            self.notes.append(f"{counted(len(images), 'image')} left out: {why} ({few(sorted(images))})")

"""What the folders of a data set mean: splits, classes, or nothing. Names alone decide; what is not plain is told."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gancli.data.classes import canonical, ordered, renumbered
from gancli.data.manifest import Manifest
from gancli.data.names import Split
from gancli.data.splits import Crossed, Groups, Level, crossed, level_of, said_by, splits_of
from gancli.data.walk import MAX_DEPTH, Found
from gancli.errors import DataError
from gancli.text import Note, counted, few, printable


@dataclass(frozen=True)
class Arranged:
    """The pictures of a split in the order of their names, each with its class (0 where there is none), and what to tell."""

    labels: Mapping[str, int]
    class_names: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass
class Arranger:
    """Looks at the names of `found`; `manifest` reads the `dataset.json` of a folder (by its prefix), if it has one."""

    where: str
    found: Found
    manifest: Callable[[str], Manifest | None]
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._children: dict[str, set[str]] = {}
        for folder in self.found.folders:
            parent, _, name = folder.rpartition("/")
            self._children.setdefault(f"{parent}/" if parent else "", set()).add(name)

    def _names(self, prefix: str) -> set[str]:
        """The folders directly below a prefix."""
        return self._children.get(prefix, set())

    def arrange(self, split: Split, with_classes: bool = True) -> Arranged:
        """The pictures of `split` and, if asked for, their classes.

        Folders that hold everything are passed over (a zip of one folder). `train` beside `test` (or `val`) are splits, not
        classes; a data set without them is its own test split. Then a `dataset.json` says the classes, or the subfolders
        are classes, if there are two and most pictures lie in them. The classes of a test split are those of its train
        split. Raises `DataError` where no picture is left.
        """
        pictures = sorted(self.found.marks)
        top = self._settled("", pictures)
        splits = splits_of(top, self._names)
        if splits is None:
            if (found := crossed(top, self._names)) is not None:
                return self._by_crossed(top, found, split, with_classes)
            if not with_classes:
                return self._unlabelled(pictures)
            self._tell_splits_that_are_none(top)
            return self._numbered(top, self._groups(top))
        train = self._inside(top, splits.train)
        beside = [*top.loose, *(name for other in splits.others for name in top.folders[other])]
        self._leave_out(beside, f"beside {printable(splits.train)} and {printable(splits.test)}, taken for splits")
        if not with_classes:
            return self._unlabelled(top.folders[splits.train])
        groups = self._groups(train)
        if split == "train" or splits.test not in top.folders:
            return self._numbered(train, groups)
        if groups is None:
            return self._unlabelled(top.folders[splits.test])
        classes = ordered(groups)
        test = self._settled(f"{top.prefix}{splits.test}/", top.folders[splits.test], classes)
        return self._test(printable(splits.test), test, classes)

    def _by_crossed(self, top: Level, found: Crossed, split: Split, with_classes: bool) -> Arranged:
        """The pictures of `split` where each class has splits of its own."""
        self._leave_out(found.beside, "in none of the splits that each class has")
        chosen = Level(top.prefix, found.train if split == "train" or not found.test else found.test, [])
        if not with_classes or len(found.train) < 2:
            return self._unlabelled(chosen.everything())
        if chosen.folders is found.train:
            return self._numbered(chosen, found.train)
        return self._test("the test split", chosen, ordered(found.train))

    def _unlabelled(self, pictures: Sequence[str]) -> Arranged:
        return Arranged(dict.fromkeys(sorted(pictures), 0), (), tuple(self.notes))

    def _inside(self, top: Level, folder: str) -> Level:
        if folder not in top.folders:
            raise DataError(f"{self.where}: {printable(folder)} holds no pictures that can be read here")
        return self._settled(f"{top.prefix}{folder}/", top.folders[folder])

    def _settled(self, prefix: str, pictures: Sequence[str], classes: Sequence[str] = ()) -> Level:
        """Where structure begins: folders that hold everything, and are none of `classes`, are passed over.

        Beside such a folder a few pictures may lie, if it has a structure in it: then they are left out.
        """
        levels = [level_of(prefix, pictures)]
        known = set(map(canonical, classes))
        while len(levels[-1].folders) == 1 and len(levels) < MAX_DEPTH and not self._is_structured(levels[-1]):
            ((name, inside),) = levels[-1].folders.items()
            if canonical(name) in known:
                break
            levels.append(level_of(f"{levels[-1].prefix}{name}/", inside))
        begins = self._is_structured(levels[-1]) or len(levels[-1].folders) > 1
        for level in levels[:-1]:
            if level.loose and not (begins and len(level.loose) < level.num_inside):
                return level
        for level in levels[:-1]:
            self._leave_out(level.loose, f"beside {printable(next(iter(level.folders)))}, which holds the others")
        return levels[-1]

    def _is_structured(self, level: Level) -> bool:
        return self._labels(level.prefix) is not None or splits_of(level, self._names) is not None

    def _labels(self, prefix: str) -> Manifest | None:
        """What the manifest of a folder says, unless folders say the classes."""
        found = self.manifest(prefix)
        return None if found is None or found.unused else found

    def _groups(self, level: Level) -> Groups | None:
        """The classes of a level's pictures; None where there are none."""
        if (unused := self.manifest(level.prefix)) is not None and unused.unused:
            self.notes.append(Note(f"no labels {unused.place}: {unused.odd}"))
        if (manifest := self._labels(level.prefix)) is not None:
            groups, rest = self._by_manifest(level, manifest)
            what = f"with a label {manifest.place}"
        else:
            groups, rest = level.folders, level.loose
            what = "in class folders"
        if len(groups) < 2:
            return None
        if len(rest) >= (labelled := sum(map(len, groups.values()))):
            total = labelled + len(rest)
            self.notes.append(f"without classes: {len(rest)} of {total} pictures are not {what} ({few(rest)})")
            return None
        self._leave_out(rest, f"not {what}, as the others are")
        return groups

    def _by_manifest(self, level: Level, manifest: Manifest) -> tuple[Groups, Sequence[str]]:
        """The pictures of each class that a manifest knows, and those that it does not. Raises `DataError` where it has to
        know all of them."""
        groups: dict[str, list[str]] = {}
        rest = []
        below = sorted(level.everything())
        for name in below:
            label = manifest.labels.get(name[len(level.prefix) :])
            if label is None:
                rest.append(name)
            else:
                groups.setdefault(str(label), []).append(name)
        if rest and manifest.whole:
            reason = next((f": {manifest.reasons[name]}" for name in rest if name in manifest.reasons), "")
            raise DataError(
                f"{self.where}: {len(rest)} of {counted(len(below), 'picture')} have no label {manifest.place}, which the "
                f"others have ({few(rest)}){reason}; --on-bad-image skip leaves them out"
            )
        if manifest.odd:
            self.notes.append(f"no labels {manifest.place}: {manifest.odd}")
        known = {name[len(level.prefix) :] for name in below}
        if gone := [name for name in manifest.labels if name not in known]:
            self.notes.append(f"{counted(len(gone), 'label')} {manifest.place} without a picture ({few(gone)})")
        return groups, rest

    def _numbered(self, level: Level, groups: Groups | None) -> Arranged:
        if groups is None:
            return self._unlabelled(level.everything())
        names = ordered(groups)
        labels = {picture: index for index, name in enumerate(names) for picture in groups[name]}
        if empty := [name for name in self._names(level.prefix) if level.prefix + name in self.found.empty]:
            self.notes.append(f"no class: {counted(len(empty), 'empty folder')} ({few(ordered(empty))})")
        return Arranged(dict(sorted(labels.items())), names, tuple(self.notes))

    def _test(self, folder: str, level: Level, classes: tuple[str, ...]) -> Arranged:
        """The test split, with the classes of the train split as their numbers say."""
        manifest = self._labels(level.prefix)
        groups, rest = (level.folders, level.loose) if manifest is None else self._by_manifest(level, manifest)
        if not groups:
            line = f"the pictures of {folder} lie in no class folders: they are measured with, without labels"
            self.notes.append(Note(line))
            return self._unlabelled(rest)
        indices = dict(zip(groups, renumbered(tuple(groups), classes), strict=True))
        labels = {name: label for own, label in indices.items() if label is not None for name in groups[own]}
        if not labels:
            raise DataError(
                f"{self.where}: none of the folders of {folder} ({few(ordered(groups))}) is one of the classes to train on "
                f"({few(classes)})"
            )
        strange = ordered(name for name, label in indices.items() if label is None)
        self._leave_out(
            [*rest, *(picture for name in strange for picture in groups[name])],
            f"of {folder}, in none of the classes to train on" + (f" but in {few(strange)}" if strange else ""),
        )
        known = set(indices.values())
        if missing := [name for label, name in enumerate(classes) if label not in known]:
            self.notes.append(
                f"{folder} has no pictures of {len(missing)} of {counted(len(classes), 'class')} ({few(missing)})"
            )
        return Arranged(dict(sorted(labels.items())), classes, tuple(self.notes))

    def _leave_out(self, pictures: Sequence[str], why: str) -> None:
        if pictures:
            self.notes.append(f"{counted(len(pictures), 'picture')} left out: {why} ({few(sorted(pictures))})")

    def _tell_splits_that_are_none(self, level: Level) -> None:
        named = [name for name in level.folders if (said := said_by(name)) is not None and not said.rest]
        if named and len(level.folders) > 1:
            others = [name for name in level.folders if name not in named]
            beside = f"like {few(ordered(others))}" if others else "each"
            self.notes.append(Note(f"taken for classes {beside}, not for splits: {few(ordered(named))}"))

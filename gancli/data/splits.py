"""Which folders are splits of a data set (`train` beside `test`), told by their names."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from gancli.data.classes import canonical
from gancli.data.names import Split

SPLIT_WORDS: Mapping[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "test": ("test", "testing", "val", "valid", "validation"),
}
ANY_WORD = "|".join(sorted((word for words in SPLIT_WORDS.values() for word in words), key=len, reverse=True))
SPLIT_WORD = re.compile(f"({ANY_WORD})(?:set)?([0-9]*|[ab])")  # train2017; trainA beside trainB
FILLERS = frozenset({"set", "data", "dataset", "split", "image", "images", "img", "imgs", "picture", "pictures"})
Groups = Mapping[str, Sequence[str]]  # the pictures of each folder or class
Children = Callable[[str], Collection[str]]  # all folders directly below a prefix, also those without pictures


@dataclass(frozen=True)
class Level:
    """What lies directly below `prefix` ("" or "a/b/"): the pictures of each folder there, and those in none."""

    prefix: str
    folders: Groups
    loose: Sequence[str]

    @property
    def num_inside(self) -> int:
        return sum(map(len, self.folders.values()))

    def everything(self) -> list[str]:
        return [*self.loose, *(name for inside in self.folders.values() for name in inside)]


@dataclass(frozen=True)
class Splits:
    """The folders that are splits, and those beside them that are not."""

    train: str
    test: str
    others: Sequence[str]


@dataclass(frozen=True)
class Crossed:
    """Splits of each class (`cat/train`, `cat/test`; `trainA`, `testA`): the pictures by class, and those in no split."""

    train: Groups
    test: Groups
    beside: Sequence[str]


@dataclass(frozen=True)
class Said:
    """What a folder's name says: the split, how plainly (0 most), and the rest: `seg_train` goes with `seg_test`."""

    split: Split
    rank: int
    rest: tuple[str, ...]


def level_of(prefix: str, pictures: Sequence[str]) -> Level:
    """The level below a prefix that all of `pictures` begin with."""
    folders: dict[str, list[str]] = {}
    loose = []
    for name in pictures:
        head, slash, _ = name[len(prefix) :].partition("/")
        if slash:
            folders.setdefault(head, []).append(name)
        else:
            loose.append(name)
    return Level(prefix, folders, loose)


def said_by(folder: str) -> Said | None:
    """What the name of a folder says about splits, if it says one."""
    words = [word for word in re.split(r"[ _.-]+", canonical(folder)) if word]
    found = [(at, match) for at, word in enumerate(words) if (match := SPLIT_WORD.fullmatch(word))]
    if len(found) != 1:
        return None
    ((at, match),) = found
    rest = tuple(w for w in (*words[:at], match[2], *words[at + 1 :]) if w and w not in FILLERS)
    split: Split = "train" if match[1] in SPLIT_WORDS["train"] else "test"
    return Said(split, SPLIT_WORDS[split].index(match[1]), rest)


def splits_of(level: Level, children: Children) -> Splits | None:
    """The splits among the folders of a level, if one train and one test split are among them and few others, or if these
    have subfolders of the same names."""
    pairs = _pairs(level, children)
    if len(pairs) != 1:
        return None
    (names,) = pairs.values()
    train, test = _best(names, "train"), _best(names, "test")
    others = [name for name in level.folders if name not in names or (names[name].split == "train" and name != train)]
    if len(others) > len(names):
        inside = [set(map(canonical, children(f"{level.prefix}{folder}/"))) for folder in (train, test)]
        if not inside[0] & inside[1]:
            return None
    return Splits(train, test, others)


def crossed(level: Level, children: Children) -> Crossed | None:
    """The splits of each class, where several have theirs."""
    pairs = _pairs(level, children)
    if len(pairs) > 1:
        best = {_own_name(train): (train, _best(n, "test")) for n in pairs.values() for train in [_best(n, "train")]}
        used = {name for names in pairs.values() for name in names}
        train, test = ({own: level.folders.get(pair[i], []) for own, pair in best.items()} for i in (0, 1))
        outside = [name for folder, inside in level.folders.items() if folder not in used for name in inside]
        return Crossed(_filled(train), _filled(test), [*level.loose, *outside])
    below = {name: level_of(f"{level.prefix}{name}/", inside) for name, inside in level.folders.items()}
    splits = {name: own for name, inside in below.items() if (own := splits_of(inside, children)) is not None}
    if len(splits) < 2 or len(splits) < len(below):
        return None
    train = {name: below[name].folders.get(own.train, []) for name, own in splits.items()}
    test = {name: below[name].folders.get(own.test, []) for name, own in splits.items()}
    beside = [*level.loose, *(name for inside in below.values() for name in inside.loose)]
    beside += [
        picture for name, own in splits.items() for other in own.others for picture in below[name].folders[other]
    ]
    return Crossed(_filled(train), _filled(test), beside)


def _pairs(level: Level, children: Children) -> dict[tuple[str, ...], dict[str, Said]]:
    """The folders that are a train and a test split of one thing, by what their names say beside that."""
    groups: dict[tuple[str, ...], dict[str, Said]] = {}
    for name in sorted({*level.folders, *children(level.prefix)}):
        if (said := said_by(name)) is not None:
            groups.setdefault(said.rest, {})[name] = said
    return {
        rest: names
        for rest, names in groups.items()
        if {said.split for said in names.values()} == set(SPLIT_WORDS) and not level.folders.keys().isdisjoint(names)
    }


def _best(names: Mapping[str, Said], split: Split) -> str:
    """Of the folders of one split the one that says it most plainly."""
    return min((said.rank, name != canonical(name), name) for name, said in names.items() if said.split == split)[2]


def _own_name(train: str) -> str:
    """What is left of a train folder's name: A of trainA."""
    left = re.sub(ANY_WORD, "", train, count=1, flags=re.IGNORECASE).strip(" _.-")
    return left or train


def _filled(groups: Groups) -> Groups:
    return {name: inside for name, inside in groups.items() if inside}

"""Labels in files next to the pictures of a tar, as WebDataset has them: `dog/17.jpg` and `dog/17.cls` are one sample."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gancli.text import printable

KINDS = (".cls", ".json", ".txt")  # the first that any picture has is what all must have
JSON_KEYS = ("label_name", "class_name", "label", "class", "cls")  # the first that is there counts
MAX_BYTES = 1 << 16
MAX_LABEL = 2**31
LONGEST = 100  # characters of a class's name
MAX_CLASSES = 10_000
Key = tuple[int, str]  # which shard, and the name up to the first dot after the last slash


def key_of(name: str) -> tuple[str, str]:
    """A member's key, and the rest of its name: `a/b.seg.png` is `a/b` and `.seg.png`."""
    folder, slash, last = name.rpartition("/")
    own, dot, rest = last.partition(".")
    return f"{folder}{slash}{own}", f"{dot}{rest}"


@dataclass(frozen=True)
class Chosen:
    """`kind` of file that has the labels, or "" where none has; the labels; why pictures have none; what to tell."""

    kind: str = ""
    labels: Mapping[str, int | str] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    told: Sequence[str] = ()


@dataclass
class SidecarLabels:
    """The labels of the samples, by kind, and why some have none although a file is there. `seen`: whether there was any."""

    labels: dict[str, dict[Key, int | str]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    odd: dict[str, dict[Key, str]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    seen: bool = False

    def take(self, shard: int, key: str, kind: str, text: bytes) -> None:
        """Note what a file says."""
        self.seen = True
        try:
            label = READERS[kind](text)
        except _OddError as error:
            self.odd[kind][shard, key] = f"its {kind} {error}"
        except (ValueError, RecursionError):
            self.odd[kind][shard, key] = f"its {kind} is damaged"
        else:
            if label is not None:
                self.labels[kind][shard, key] = label

    def chosen(self, keys: Mapping[str, Key]) -> Chosen:
        """What the pictures with these keys are labelled by: the first kind of file that any of them has a label in."""
        told = list[str]()
        for kind in KINDS:
            labels = {name: label for name, key in keys.items() if (label := self.labels[kind].get(key)) is not None}
            distinct = len(set(map(str, labels.values())))
            if distinct > MAX_CLASSES or (kind == ".txt" and 2 * distinct > len(labels)):
                told.append(f"no classes: {len(labels)} {kind} beside pictures say {distinct} different things")
            elif labels:
                reasons = {name: self.odd[kind].get(key, f"it has no {kind}") for name, key in keys.items()}
                return Chosen(kind, labels, {name: why for name, why in reasons.items() if name not in labels}, told)
            elif kind != ".txt" and (
                reason := next((self.odd[kind][k] for k in keys.values() if k in self.odd[kind]), "")
            ):
                told.append(f"no classes: of a picture, {reason}")
        return Chosen(told=told)


class _OddError(ValueError):
    """Why a file holds no label, in words that follow on its name."""


def _number(text: bytes) -> int:
    said = text.decode("utf-8", "replace").strip().removeprefix("\ufeff")
    if not said.isascii() or not said.isdecimal() or len(said) > 10 or int(said) >= MAX_LABEL:
        raise _OddError(f"says '{printable(said[:20])}', no class number")
    return int(said)


def _named(text: bytes) -> str | None:
    """A class's name: one short line; a caption may be longer, and is none."""
    said = text.decode("utf-8").strip().removeprefix("\ufeff")
    return said if said and len(said) <= LONGEST and len(said.splitlines()) == 1 else None


def _in_json(text: bytes) -> int | str | None:
    facts = json.loads(text)
    if not isinstance(facts, dict):
        return None
    for key in JSON_KEYS:
        if key in facts and facts[key] is not None:
            return checked(facts[key], f"says {key}: ")
    return None


def checked(value: object, said: str) -> int | str:
    """A label as it stands in a file. Raises `ValueError` that begins with `said` for what is no number and no name."""
    if type(value) is int and 0 <= value < MAX_LABEL:
        return value
    if isinstance(value, str) and 0 < len(value.strip()) <= LONGEST and len(value.strip().splitlines()) == 1:
        return value.strip()
    raise _OddError(f"{said}{printable(repr(value)[:30])}, no class")


READERS: Mapping[str, Callable[[bytes], int | str | None]] = {".cls": _number, ".json": _in_json, ".txt": _named}


def spare(names: Iterable[tuple[int, str]]) -> set[tuple[int, str]]:
    """Of the pictures in shards those that belong to another one: `17.mask.png`, where `17.jpg` is the only picture that has
    no more to its name than its key."""
    parts = {one: key_of(one[1]) for one in names}
    plain = Counter((shard, key) for (shard, _), (key, rest) in parts.items() if rest.count(".") == 1)
    return {one for one, (key, rest) in parts.items() if rest.count(".") > 1 and plain[one[0], key] == 1}

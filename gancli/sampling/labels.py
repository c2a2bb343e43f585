"""`--label` as users type it (`7`, `0-9`, `cat`, `3,5,cat`, `all`), and the names of classes in file names."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from gancli.data.names import canonical
from gancli.errors import UsageError, did_you_mean
from gancli.text import few, printable

NUMBER = re.compile(r"\s*([0-9]{1,18})\s*")
RANGE = re.compile(r"\s*([0-9]{1,18})\s*(?:-\s*([0-9]{1,18})\s*)?")
UNFIT = frozenset('/\\:*?"<>| ')  # in file names, on some system
MAX_NAME_BYTES = 80
MAX_SHOWN = 12


def parse_labels(texts: Sequence[str], class_names: Sequence[str]) -> tuple[int, ...]:
    """Return the indices of the classes that the values of `--label` name, in their order.

    A class name takes precedence, even if it contains commas, spaces or dashes. Numbers and ranges mean classes whose names
    are these numbers or, if no name is a number, indices. `\\,` is a comma that does not separate. Raises `UsageError`.
    """
    found: list[int] = []
    longest = 1 + max((name.count(",") for name in class_names), default=0)
    for text in texts:
        words = [text] if text in class_names else re.split(r"(?<!\\),", text)
        while words:
            for count in range(min(longest, len(words)), 0, -1):  # of names with commas, the longest
                if (label := _named(",".join(words[:count]), class_names)) is not None:
                    found.append(label)
                    break
            else:
                count = 1
                found += _parse_word(words[0].replace("\\,", ",").strip(), class_names)
            words = words[count:]
    return tuple(found)


def _named(word: str, names: Sequence[str]) -> int | None:
    """Return the class with exactly that name, or with that name without surrounding spaces and `\\`."""
    plain = word.replace("\\,", ",")
    known = (name for name in (word, plain, word.strip(), plain.strip()) if name in names)
    return next((names.index(name) for name in known), None)


def _parse_word(word: str, names: Sequence[str]) -> Sequence[int]:
    """Return the classes of `all`, a number, a range, or a name that differs in case or accents. Raises `UsageError`."""
    if word == "all":
        return range(len(names))
    match = RANGE.fullmatch(word)
    if match:
        first, last = int(match[1]), int(match[2] or match[1])
        found = _numbered(first, last, names)
    else:
        found = _similar(word, names)
    if not found:
        hint = "" if match else did_you_mean(word, names)
        shown = [name if name.strip() == name != "" and "," not in name else repr(name) for name in names]
        by_number = "" if _numbers(names) else f"; by number 0-{len(names) - 1}"
        raise UsageError(f"--label {word}: the model knows {few(shown, MAX_SHOWN)}{by_number}{hint}")
    return found


def _numbers(names: Sequence[str]) -> dict[int, int]:
    """Return the index of each class whose name is a number, by its number."""
    return {int(match[1]): index for index, name in enumerate(names) if (match := NUMBER.fullmatch(name))}


def _numbered(first: int, last: int, names: Sequence[str]) -> Sequence[int]:
    """Return the classes from `first` to `last`, which must both exist; else none."""
    numbers = _numbers(names) or dict(zip(range(len(names)), range(len(names)), strict=True))
    if first not in numbers or last not in numbers:
        return ()
    return [numbers[number] for number in sorted(numbers) if first <= number <= last]


def _similar(word: str, names: Sequence[str]) -> Sequence[int]:
    """Return the only class whose name differs in case, in how accents are encoded, or as `gan inspect` prints it."""
    for shown in (names, list(map(printable, names))):
        found = [label for label, name in enumerate(shown) if canonical(name) == canonical(word)]
        if len(found) == 1:
            return found
    return ()


def file_names(class_names: Sequence[str]) -> tuple[str, ...]:
    """Return each class's name as a part of a file name, unique also where case is ignored."""
    fit = [_fit(name, index) for index, name in enumerate(class_names)]
    times = Counter(name.casefold() for name in fit)
    taken = {name for name, count in times.items() if count == 1}
    for index, name in enumerate(fit):
        if times[name.casefold()] > 1:
            unique = f"{name}-{index}"
            while unique.casefold() in taken:
                unique = f"{unique}-{index}"
            taken.add(unique.casefold())
            fit[index] = unique
    return tuple(fit)


def _fit(name: str, index: int) -> str:
    composed = unicodedata.normalize("NFC", name)
    plain = "".join(c if c.isprintable() and c not in UNFIT else "-" for c in composed).strip("-.")
    cut = plain.encode()[:MAX_NAME_BYTES].decode("utf-8", "ignore").rstrip("-.")
    return cut or f"class-{index}"

"""Labels as people type them: `7`, `0-9`, `cat`, `3,5,cat`, `all`; and names of files for the classes they mean."""

import re
import unicodedata
from collections.abc import Sequence

from gancli.data.names import canonical
from gancli.errors import UsageError, did_you_mean
from gancli.text import printable

RANGE = re.compile(r"\s*([0-9]+)\s*(?:-\s*([0-9]+)\s*)?")
UNFIT = frozenset('/\\:*?"<>| ')  # in names of files, on one system or another, or to type
MAX_NAME_BYTES = 80


def parse_labels(texts: Sequence[str], class_names: Sequence[str]) -> tuple[int, ...]:
    """Class indices for what `--label` was given, in the order asked for.

    A name comes first, be it with commas, blanks or dashes. Numbers and ranges are of names where names are numbers, else
    of indices. `\\,` is a comma that does not separate. Raises `UsageError` naming the label and what there is.
    """
    known = _Known(class_names)
    return tuple(label for text in texts for label in known.parse(text))


class _Known:
    """The classes there are, by what may be said for them."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.exact = {name: index for index, name in enumerate(names)}
        self.numbers = {index: number for index, name in enumerate(names) if (number := _number(name)) is not None}
        self.longest = 1 + max((name.count(",") for name in names), default=0)

    def parse(self, text: str) -> list[int]:
        """The classes of a text with commas: names that hold commas themselves are found first, the longest first."""
        if text in self.exact:
            return [self.exact[text]]
        words = re.split(r"(?<!\\),", text)
        found: list[int] = []
        while words:
            for count in range(min(self.longest, len(words)), 0, -1):
                if (label := self._named(",".join(words[:count]))) is not None:
                    found.append(label)
                    break
            else:
                count = 1
                found.extend(self._many(words[0].replace("\\,", ",").strip()))
            words = words[count:]
        return found

    def _named(self, word: str) -> int | None:
        """A class by its name: as it stands, without blanks, with `\\,` for commas."""
        plain = word.replace("\\,", ",")
        for name in (word, plain, word.strip(), plain.strip()):
            if name in self.exact:
                return self.exact[name]
        return None

    def _many(self, word: str) -> Sequence[int]:
        """What is no name as it stands: all, a number, a range, or a name written otherwise."""
        if word == "all":
            return range(len(self.names))
        match = RANGE.fullmatch(word)
        found = self._numbered(*match.groups()) if match is not None else self._alike(word)
        if not found:
            hint = did_you_mean(word, self.names) if match is None else ""
            raise UsageError(f"--label {word}: {self._there_is()}{hint}")
        return found

    def _numbered(self, first: str, last: str | None) -> Sequence[int]:
        """Names where names are numbers, else indices; nothing where an end of a range is none of them."""
        start, end = _digits(first), _digits(last or first)
        if not self.numbers:
            low, high = _index(start), _index(end)
            return range(low, high + 1) if low <= high < len(self.names) else ()
        found = [label for label, number in self.numbers.items() if start <= number <= end]
        ends = {self.numbers[label] for label in found}
        if start not in ends or end not in ends or (last is None and len(found) > 1):
            return ()
        return sorted(found, key=lambda label: self.numbers[label])

    def _alike(self, word: str) -> Sequence[int]:
        """The one class whose name differs in case, in how accents are written, or as `gan inspect` prints it."""
        for told in (canonical, lambda name: canonical(printable(name))):
            found = [label for label, name in enumerate(self.names) if told(name) == canonical(word)]
            if len(found) == 1:
                return found
        return ()

    def _there_is(self) -> str:
        shown = _runs([name if name.strip() == name != "" and "," not in name else repr(name) for name in self.names])
        names = printable(", ".join(shown[:12])) + (", …" if len(shown) > 12 else "")
        return f"the model knows {names}" + ("" if self.numbers else f"; by number 0-{len(self.names) - 1}")


def _runs(names: Sequence[str]) -> list[str]:
    """Names, but numbers that follow on each other as `1-12`."""
    runs: list[list[str]] = []
    for name in names:
        if runs and re.fullmatch("0|[1-9][0-9]{,8}", runs[-1][-1]) and name == str(int(runs[-1][-1]) + 1):
            runs[-1].append(name)
        else:
            runs.append([name])
    return [part for run in runs for part in ([f"{run[0]}-{run[-1]}"] if len(run) > 2 else run)]


def _number(name: str) -> tuple[int, str] | None:
    return _digits(name.strip()) if re.fullmatch(r"\s*[0-9]+\s*", name) else None


def _digits(text: str) -> tuple[int, str]:
    """A number that compares as it should, however many digits it has."""
    digits = text.lstrip("0")
    return len(digits), digits


def _index(number: tuple[int, str]) -> int:
    return int(number[1] or "0") if number[0] < 10 else 10**10


def file_names(class_names: Sequence[str]) -> tuple[str, ...]:
    """Each class's name as a part of a file's name on any file system: no two alike, even where case does not count."""
    fit = [_fit(name, index) for index, name in enumerate(class_names)]
    times: dict[str, int] = {}
    for name in fit:
        times[name.casefold()] = times.get(name.casefold(), 0) + 1
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

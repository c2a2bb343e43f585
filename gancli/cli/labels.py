"""Labels as people type them: `7`, `0-9`, `cat`, `3,5,cat`, `all`."""

from collections.abc import Sequence

from gancli.errors import UsageError, did_you_mean, printable


def parse_labels(text: str, class_names: Sequence[str]) -> tuple[int, ...]:
    """Class indices for a `--label` value, in the order asked for. A class's name wins over a number.

    Raises `UsageError` naming the label and what there is.
    """
    labels: list[int] = []
    for word in text.split(","):
        labels.extend(_one(word.strip(), class_names))
    return tuple(labels)


def _one(word: str, class_names: Sequence[str]) -> Sequence[int]:
    if word in class_names:
        return [class_names.index(word)]
    if word == "all":
        return range(len(class_names))
    first, dash, last = word.partition("-")
    if first.isdecimal() and (last.isdecimal() if dash else True):
        start, end = int(first), int(last or first)
        if start <= end < len(class_names):
            return range(start, end + 1)
    names = ", ".join(class_names[:12]) + (", …" if len(class_names) > 12 else "")
    hint = did_you_mean(word, class_names)
    raise UsageError(f"--label {word}: the model knows 0-{len(class_names) - 1} ({printable(names)}){hint}")

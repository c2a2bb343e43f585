"""What is taken of a dataset, where it offers a choice: a split, and columns. Imports no torch."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass

from gancli.config.option import reject_unused_options
from gancli.files.hub import is_reference


@dataclass(frozen=True)
class Selection:
    """The options `--split`, `--image-column` and `--label-column`; None: what the dataset says itself."""

    split: str | None = None
    image_column: str | None = None
    label_column: str | None = None

    @contextlib.contextmanager
    def in_use(self, dataset: str | None = None) -> Iterator[None]:
        """Let the readers of Parquet files take the columns. Given a `dataset`, raises `UsageError` for an option that
        has no effect on it."""
        if dataset is not None and not is_reference(dataset):
            why = f"is for datasets of the hub (hf:OWNER/NAME); of {dataset} give the folder or file of the split"
            reject_unused_options(("--split", self.split), why=why)
        use = _Use(self)
        token = _IN_USE.set(use)
        try:
            yield
        finally:
            _IN_USE.reset(token)
        if dataset is not None and not use.has_columns:
            given = (("--image-column", self.image_column), ("--label-column", self.label_column))
            reject_unused_options(*given, why=f"is for Parquet files, and {dataset} has none")


WHOLE = Selection()


@dataclass
class _Use:
    """A selection, and whether a Parquet file was read with it."""

    selection: Selection
    has_columns: bool = False


_IN_USE: ContextVar[_Use] = ContextVar("selection")


def columns() -> tuple[str | None, str | None]:
    """The columns of images and of labels that are asked for, where a Parquet file is read; None: not asked for."""
    if (use := _IN_USE.get(None)) is None:
        return None, None
    use.has_columns = True
    return use.selection.image_column, use.selection.label_column

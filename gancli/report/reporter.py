"""What all reporters have in common."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from gancli.events import Event


class Reporter(ABC):
    """Called with every event of a run, inside a `with` block that gives back whatever the reporter took."""

    @abstractmethod
    def __call__(self, event: Event) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Silence(Reporter):
    """Tells nothing (`--progress none`)."""

    def __call__(self, event: Event) -> None:
        del event

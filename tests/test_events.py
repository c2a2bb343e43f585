"""Generators of events: what they tell, and what they return."""

from collections.abc import Generator

from gancli.events import Event, Progress, Telling, Warned, told_once


def work() -> Generator[Event, None, str]:
    yield Warned("slow")
    yield Progress(doing="reading")
    yield Warned("slow")
    yield Warned("small")
    return "done"


def test_what_work_returns_is_had_after_its_events() -> None:
    telling = Telling(work())
    assert list(telling) == list(work())
    assert telling.result == "done"


def test_a_warning_is_told_once_among_several_pieces_of_work() -> None:
    told: set[str] = set()
    first, second = Telling(told_once(work(), told)), Telling(told_once(work(), told))
    assert list(first) == [Warned("slow"), Progress(doing="reading"), Warned("small")]
    assert list(second) == [Progress(doing="reading")]
    assert first.result == second.result == "done"

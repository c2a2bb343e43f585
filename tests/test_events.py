"""Callbacks that take events."""

from gancli.events import Event, Progress, Warned, without_repeats


def test_a_warning_is_passed_on_once() -> None:
    events = list[Event]()
    emit = without_repeats(events.append)
    for event in 2 * (Warned("slow"), Progress(doing="reading"), Warned("small")):
        emit(event)
    assert events == [Warned("slow"), Progress(doing="reading"), Warned("small"), Progress(doing="reading")]

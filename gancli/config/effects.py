"""What is accepted has an effect: an option that would have none beside the others is refused."""

from gancli.errors import UsageError

Given = tuple[str, object]  # a flag, and its value: None or False where it was not given


def refuse(*given: Given, why: str) -> None:
    """Raises `UsageError` for the first option that was given. `why` completes "--flag value: …"."""
    for flag, value in given:
        if value is not None and value is not False:
            word = flag if value is True else f"{flag} {value}"
            raise UsageError(f"{word}: {why}")

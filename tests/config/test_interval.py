import pytest
from hypothesis import given
from hypothesis import strategies as st

from gancli.config import RunConfig, fields_of, interval
from gancli.config.interval import Interval
from gancli.errors import UsageError

(SAVE_EVERY,) = (field for field in fields_of(RunConfig) if field.name == "save_every")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("1000", Interval(1000)),
        (1000, Interval(1000)),
        ("10m", Interval(None, 600.0)),
        ("90s", Interval(None, 90.0)),
        ("1h30m", Interval(None, 5400.0)),
        ("1.5h", Interval(None, 5400.0)),
        ("1000,10m", Interval(1000, 600.0)),
        (" 10m, 1000 ", Interval(1000, 600.0)),
    ],
)
def test_an_interval_is_steps_a_time_or_both(given: object, meant: Interval) -> None:
    assert interval.parse(given) == meant


@pytest.mark.parametrize(
    "given", ["", "0", "-3", "1e3", "10 m", "m", "5,6", "1m,2m", "5,", "0s", "0.1s", "400d", "9" * 99, True, 1.5, "10x"]
)
def test_other_intervals_are_refused_with_the_option_and_the_value(given: object) -> None:
    with pytest.raises(UsageError, match=r"^--save-every.*: must be "):
        SAVE_EVERY.check(given)


@given(st.one_of(st.none(), st.integers(1, 10**12)), st.one_of(st.none(), st.integers(1, 366 * 86400)))
def test_an_interval_reads_as_it_is_written(steps: int | None, seconds: int | None) -> None:
    meant = Interval(steps, None if seconds is None else float(seconds))
    if steps or seconds:
        assert interval.parse(str(meant)) == meant


def test_a_whole_number_of_a_toml_file_is_a_number_of_steps() -> None:
    assert SAVE_EVERY.check(500) == "500"

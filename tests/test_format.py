import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gancli import format as formats


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (41.6, "42s"), (59.6, "1m 00s"), (200, "3m 20s"), (3900, "1h 05m"), (183_600, "2d 03h"), (-3, "0s")],
)
def test_durations_have_two_units_at_most(seconds: float, text: str) -> None:
    assert formats.duration(seconds) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0"), (7, "7"), (9.34, "9.34"), (93.4, "93.4"), (987, "987"), (999.9, "1.00k"), (41_234, "41.2k"),
     (1_200_000, "1.20M"), (999_960, "1.00M"), (math.nan, "?")],
)  # fmt: skip
def test_counts_have_about_three_digits(amount: float, text: str) -> None:
    assert formats.count(amount) == text


@pytest.mark.parametrize(
    ("num_bytes", "text"), [(512, "512 B"), (612_000_000, "612 MB"), (1_400_000_000, "1.4 GB"), (999_999, "1 MB")]
)
def test_sizes_are_in_powers_of_a_thousand(num_bytes: float, text: str) -> None:
    assert formats.size(num_bytes) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.20341, "1.203"), (0.61, "0.6100"), (98.754, "98.75"), (-0.05, "-0.05000"), (999.97, "1000"), (12_345.6, "12346"),
     (0, "0"), (23.0, "23"), (3.2e-6, "3.20e-06"), (-2e7, "-2.00e+07"), (math.nan, "nan"), (math.inf, "inf")],
)  # fmt: skip
def test_losses_and_metrics_have_four_digits_and_extremes_a_power_of_ten(value: float, text: str) -> None:
    assert formats.number(value) == text


def test_a_metric_has_its_standard_error_with_two_digits() -> None:
    assert (formats.measure(98.754, 0.114), formats.measure(9.72)) == ("98.75 ±0.11", "9.720")


@given(st.floats())
def test_any_number_has_a_text(value: float) -> None:
    for form in (formats.duration, formats.count, formats.size, formats.number):
        assert form(value)

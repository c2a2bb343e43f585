import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gancli.report import words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0s"), (41.6, "42s"), (59.6, "1m 00s"), (200, "3m 20s"), (3900, "1h 05m"), (183_600, "2d 03h"), (-3, "0s")],
)
def test_durations_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0"), (7, "7"), (9.34, "9.34"), (93.4, "93.4"), (987, "987"), (999.9, "1.00k"), (41_234, "41.2k"),
     (1_200_000, "1.20M"), (999_960, "1.00M"), (math.nan, "?")],
)  # fmt: skip
def test_counts_have_about_three_digits(number: float, said: str) -> None:
    assert words.count(number) == said


@pytest.mark.parametrize(
    ("num_bytes", "said"), [(512, "512 B"), (612_000_000, "612 MB"), (1_400_000_000, "1.4 GB"), (999_999, "1 MB")]
)
def test_sizes_are_in_powers_of_a_thousand(num_bytes: float, said: str) -> None:
    assert words.size(num_bytes) == said


@given(st.floats())
def test_any_number_can_be_said(number: float) -> None:
    for said in (words.duration(number), words.count(number), words.size(number), words.term("x", number)):
        assert said


@pytest.mark.parametrize(
    ("name", "shown"),
    [("d_real", "D(real)"), ("d0_fake", "D0(fake)"), ("g_loss", "G loss"), ("d2_loss", "D2 loss"),
     ("content", "content"), ("[red]\x1b[31m", "[red]\\x1b[31m")],
)  # fmt: skip
def test_known_terms_get_the_papers_names_and_others_stay(name: str, shown: str) -> None:
    assert words.label(name) == shown


def test_beliefs_have_two_decimals_and_losses_four() -> None:
    assert words.term("d_real", 0.6123) == "0.61"
    assert words.term("d_loss", 1.2034) == "1.2034"
    assert words.term("content", 3.2e-6) == "3.20e-06"
    assert words.term("d_loss", math.nan) == "nan"


def test_amounts_without_a_total_name_what_is_done() -> None:
    assert words.amount(1200, 0, "images") == "1,200 images"
    assert words.amount(0, 0, "files") == words.amount(3, 4, "") == ""
    assert words.amount(0, 25, "images") == "0 of 25 images"
    assert words.amount(12_000_000, 34_000_000, "bytes") == "12 MB of 34 MB"

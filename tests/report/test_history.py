import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gancli.report.history import label, sparkline


@given(st.lists(st.floats(), max_size=100), st.integers(-1, 40))
def test_a_sparkline_of_any_values_fits(values: list[float], width: int) -> None:
    spark = sparkline(values, width)
    assert len(spark) == max(0, min(width, len(values)))
    assert set(spark) <= set(" ▁▂▃▄▅▆▇█")


def test_a_sparkline_rises_with_its_values() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([0, 0, 7, 7], 2) == "▁█"
    assert sparkline([3, math.nan, 3], 3) == "▅ ▅"


@pytest.mark.parametrize(
    ("name", "shown"),
    [("d_real", "D(real)"), ("d0_fake", "D0(fake)"), ("g_loss", "G loss"), ("d2_loss", "D2 loss"),
     ("content", "content"), ("[red]\x1b[31m", "[red]\\x1b[31m")],
)  # fmt: skip
def test_known_terms_get_the_papers_names_and_others_stay(name: str, shown: str) -> None:
    assert label(name) == shown

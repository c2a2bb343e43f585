import math

from hypothesis import given
from hypothesis import strategies as st

from gancli.report.history import sparkline


@given(st.lists(st.floats(), max_size=100), st.integers(-1, 40))
def test_a_sparkline_of_any_values_fits(values: list[float], width: int) -> None:
    spark = sparkline(values, width)
    assert len(spark) == max(0, min(width, len(values)))
    assert set(spark) <= set(" ▁▂▃▄▅▆▇█")


def test_a_sparkline_rises_with_its_values() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([0, 0, 7, 7], 2) == "▁█"
    assert sparkline([3, math.nan, 3], 3) == "▅ ▅"

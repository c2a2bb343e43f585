import io
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from gancli.report.plot import MIN_HEIGHT, MIN_WIDTH, plot, plot_text, sparkline

POINTS = st.lists(st.tuples(st.integers(0, 10**12), st.floats()), max_size=30)


@given(st.dictionaries(st.text(), POINTS, max_size=8), st.integers(0, 150), st.integers(0, 40))
@example({"": [(1_000_000_000, 0.0)]}, 0, 0)
def test_any_series_can_be_plotted_within_the_width(
    series: dict[str, list[tuple[int, float]]], width: int, height: int
) -> None:
    text = plot(series, width=width, height=height)
    assert all(part.isprintable() for part in text.split("\n"))
    console = Console(file=io.StringIO(), width=500)
    assert console.measure(plot_text(series, width=width, height=height)).maximum <= max(width, MIN_WIDTH)


def test_a_plot_has_as_many_lines_as_asked_for() -> None:
    series = {"d_loss": [(s, 1.0 / s) for s in range(1, 100)], "g_loss": [(s, s / 50) for s in range(1, 100)]}
    for height in (MIN_HEIGHT, 10, 24):
        assert plot(series, width=80, height=height).count("\n") == height - 1


def test_axes_name_the_first_and_last_step_and_the_range_of_values() -> None:
    lines = plot({"g_loss": [(100, 0.5), (5000, 2.5)]}, width=60, height=10).split("\n")
    assert lines[0].startswith("2.5000 ┤")
    assert lines[7].startswith("0.5000 ┤")
    assert "step 100" in lines[8]
    assert lines[8].endswith("5,000")
    assert lines[9].endswith("G loss 2.5000")


def test_a_rising_curve_goes_from_bottom_left_to_top_right() -> None:
    lines = plot({"x": [(0, 0.0), (10, 1.0)]}, width=40, height=8).split("\n")
    drawn = [next((i for i, c in enumerate(line) if "⠀" < c <= "⣿"), None) for line in lines[:6]]
    columns = [column for column in drawn if column is not None]
    assert len(columns) == 6
    assert columns == sorted(columns, reverse=True)


@pytest.mark.parametrize("points", [[(5, 1.0)], [(5, 1.0), (9, 1.0)], [(5, 0.0), (9, math.nan)]])
def test_a_single_point_or_a_constant_is_drawn(points: list[tuple[int, float]]) -> None:
    assert any("⠀" < c <= "⣿" for c in plot({"x": points}, width=40, height=8).split("\n")[3])


def test_nothing_finite_is_said_to_be_nothing() -> None:
    assert plot({"x": [(1, math.nan)], "y": []}, width=40, height=8) == "nothing to plot yet"


def test_curves_differ_without_colour_and_have_colours_with_it() -> None:
    series = {"d_loss": [(0, 1.0), (9, 1.0)], "g_loss": [(0, 2.0), (9, 2.0)]}
    lines = plot(series, width=40, height=8).split("\n")
    assert set(lines[0][8:]) != set(lines[5][8:])
    assert "\x1b" not in "".join(lines)
    coloured = Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=80, no_color=False)
    with coloured.capture() as captured:
        coloured.print(plot_text(series, width=40, height=8))
    assert "\x1b[36m" in captured.get()


def test_names_in_a_plot_cannot_command_the_terminal() -> None:
    assert "\x1b" not in plot({"\x1b[2J": [(0, 1.0)]}, width=60, height=8)


@given(st.lists(st.floats(), max_size=100), st.integers(-1, 40))
def test_a_spark_line_of_any_values_fits(values: list[float], width: int) -> None:
    spark = sparkline(values, width)
    assert len(spark) == max(0, min(width, len(values)))
    assert set(spark) <= set(" ▁▂▃▄▅▆▇█")


def test_a_spark_line_rises_with_its_values() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([0, 0, 7, 7], 2) == "▁█"
    assert sparkline([3, math.nan, 3], 3) == "▅ ▅"

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gancli.report import pixels
from tests.report.facts import samples


def test_a_grid_is_recognised_by_the_size_of_its_tiles() -> None:
    assert pixels.grid_shape(samples(), (28, 28)) == (8, 8)
    assert pixels.grid_shape(samples(), (64, 64)) == (1, 1)


@pytest.mark.parametrize(("columns", "rows", "at_least"), [(79, 13, 10), (119, 30, 28), (199, 44, 40)])
def test_tiles_stay_recognisable_and_many_are_shown(columns: int, rows: int, at_least: int) -> None:
    fit = pixels.fit_grid((8, 8), (28, 28), columns, rows)
    assert fit.tile_width >= 12
    assert fit.columns * fit.rows >= at_least


@given(
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.integers(-5, 220),
    st.integers(-5, 60),
)
def test_what_is_shown_fits(grid: tuple[int, int], tile: tuple[int, int], columns: int, rows: int) -> None:
    fit = pixels.fit_grid(grid, tile, columns, rows)
    if fit.score > 0:
        assert fit.width <= columns
        assert fit.height <= rows
        assert fit.columns <= grid[0]
        assert fit.rows <= grid[1]


@pytest.mark.parametrize("colours", [True, False])
def test_a_picture_has_the_size_that_was_fitted(colours: bool) -> None:
    fit = pixels.fit_grid((8, 8), (28, 28), 79, 13)
    lines = pixels.render(samples(), (28, 28), fit, colours)
    assert len(lines) == fit.height
    assert {line.cell_len for line in lines} == {fit.width}
    assert any(line.spans for line in lines) == colours


def test_without_colour_light_is_drawn_and_dark_is_not() -> None:
    lines = pixels.render(samples(), (28, 28), pixels.GridLayout(1, 1, 28, 28, 1.0), False)
    assert [line.plain[13] for line in lines] == [" "] * 4 + ["█"] * 6 + [" "] * 4

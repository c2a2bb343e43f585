"""A figure of matplotlib that a notebook shows, also if nothing imported pyplot. Imports matplotlib (the extra `report`)."""

import io

from matplotlib.figure import Figure


class ShownFigure(Figure):
    """A `matplotlib.figure.Figure` that is shown as the value of a notebook's cell, once."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=self.dpi)
        return buffer.getvalue()

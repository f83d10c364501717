"""A place for a `Picture`: empty until the first one comes."""

import plotly.graph_objects as go

from efflab.figures import Picture, templates
from efflab.widgets.live_figure import LiveFigure


class PictureView(LiveFigure):
    """Shows a picture, its sentence and its table, and replaces all three in place; from any thread.

    Takes no room before its first picture.
    """

    def __init__(self, *, height: int) -> None:
        self.shown: Picture | None = None
        self._height = height
        super().__init__(go.Figure(), alt="There is nothing to see yet.", height=height, templates=templates())
        self.layout.display = "none"

    def project(self, is_on: bool) -> None:
        """Large type, thick lines and more room for them, or back."""
        self.projector = is_on
        self.height = self._height + (180 if is_on else 0)

    def set_height(self, height: int) -> None:
        """Take so many pixels, for a picture that has more rows than the one before."""
        self._height = height
        self.project(self.projector)

    def show_picture(self, picture: Picture) -> None:
        """Draw this picture from now on."""
        self.shown = picture
        self.layout.display = ""
        self.show(picture.figure, alt=picture.sentence, table=picture.table)

    def hide(self) -> None:
        """Take no room until the next picture comes."""
        self.shown = None
        self.layout.display = "none"

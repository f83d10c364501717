"""What pictures look like: colours with a meaning, and templates for a laptop and for a projector.

The same role has the same colour in every picture. These colours are from the colour-blind-safe palette of Okabe and
Ito (Color universal design, 2008); we take those that have a contrast of 3:1 both on white and on JupyterLab's dark
background, so that a figure need not know the theme. Colour is never the only cue: roles also differ in dash or marker.

Everything else (fonts, grid, line widths) is in the template, which the page swaps when the theme changes.
"""

from dataclasses import dataclass
from typing import Any

BASE = "#767676"
"""The network as it was."""
NOW = "#0072B2"
"""The network as the controls are set now."""
PREDICTED = "#D55E00"
"""What the learner predicted."""
TUNED = "#009E73"
"""A network that was trained further."""
CONTROL = "#CC79A7"
"""A control, such as random pruning."""

LAYER_COLOURS = (NOW, PREDICTED, TUNED, CONTROL)
"""Layers, in a picture of layers, in turn; five dashes and seven markers turn beside them."""
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "star", "pentagon")

WHITE, DARK = "#FFFFFF", "#111111"
"""The backgrounds of a notebook: light, and JupyterLab's dark theme."""

HEAT = "Cividis"
"""Heat maps; its brightness grows evenly, for colour-blind eyes too."""
TOOLS = 34
"""Pixels that plotly's tools take at the right edge: a colour bar ends before them."""

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

Json = dict[str, Any]


@dataclass(frozen=True)
class _Ground:
    """What a theme adds to the role colours: text, grid lines, and the card of a hover text."""

    ink: str
    grid: str
    card: str


@dataclass(frozen=True)
class _Scale:
    """Pixels: the font, the width of lines, the size of markers."""

    font: int
    line: int
    marker: int


LIGHT, DIM = _Ground("#1A1A1A", "#DDDDDD", "#FFFFFF"), _Ground("#EEEEEE", "#3D3D3D", "#1E1E1E")
NEAR, FAR = _Scale(13, 2, 7), _Scale(24, 3, 11)
"""A laptop and a projector; 24 pixels are 18 points."""


def layer_look(index: int) -> Json:
    """Line and marker of layer number `index`, so that up to twenty differ in colour or dash."""
    colour = LAYER_COLOURS[index % len(LAYER_COLOURS)]
    return {
        "line": {"color": colour, "dash": DASHES[index % len(DASHES)]},
        "marker": {"color": colour, "symbol": MARKERS[index % len(MARKERS)]},
    }


def translucent(colour: str, opacity: float) -> str:
    """`#0072B2` as `rgba(0,114,178,0.2)`, for bands."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def templates() -> dict[str, Json]:
    """Our plotly templates as JSON: "light", "dark", "projector", "projector_dark"."""
    return {
        "light": _template(LIGHT, NEAR),
        "dark": _template(DIM, NEAR),
        "projector": _template(LIGHT, FAR),
        "projector_dark": _template(DIM, FAR),
    }


def standalone() -> Json:
    """The light template on white, for a figure that is shown without the bench."""
    template = templates()["light"]
    return template | {"layout": template["layout"] | {"paper_bgcolor": WHITE, "plot_bgcolor": WHITE}}


def _template(ground: _Ground, scale: _Scale) -> Json:
    font, line = scale.font, scale.line
    text = {"family": FONT, "size": font, "color": ground.ink}
    axis = {
        "automargin": True,
        "gridcolor": ground.grid,
        "linecolor": BASE,
        "showline": True,
        "ticks": "outside",
        "tickcolor": BASE,
        "zeroline": False,
        "title": {"standoff": font // 2, "font": text},
    }
    colour_bar = {"outlinewidth": 0, "thickness": font, "x": 1.0, "xpad": TOOLS, "title": {"font": text}}
    return {
        "layout": {
            "font": text,
            "title": {"font": text, "x": 0, "xref": "paper", "xanchor": "left"},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": [NOW, PREDICTED, TUNED, CONTROL, BASE],
            "colorscale": {"sequential": HEAT},
            "xaxis": axis,
            "yaxis": axis,
            "modebar": {  # upright in the right margin; lying, it would cover the legend
                "orientation": "v",
                "bgcolor": "rgba(0,0,0,0)",
                "color": BASE,
                "activecolor": NOW,
            },
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "bgcolor": "rgba(0,0,0,0)"},
            "margin": {"l": 5 * font, "r": 2 * font, "t": 3 * font, "b": 4 * font},
            "hoverlabel": {"bgcolor": ground.card, "bordercolor": BASE, "font": text},
            "annotationdefaults": {"showarrow": False},
            "hovermode": "closest",
            "dragmode": False,
        },
        "data": {
            "scatter": [
                {
                    "line": {"width": line},
                    "marker": {"size": scale.marker, "line": {"width": 0}},
                    "error_y": {"thickness": line, "width": 2 * line},
                }
            ],
            "bar": [{"marker": {"line": {"width": line}}}],
            "heatmap": [{"colorscale": HEAT, "colorbar": colour_bar}],
            "contour": [{"colorscale": HEAT, "colorbar": colour_bar}],
        },
    }

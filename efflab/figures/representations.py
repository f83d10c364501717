"""Layers of a teacher and a student: how alike each pair is, and a pair of them as points on a plane.

Reference: Kornblith et al., Similarity of neural network representations revisited, 2019, arXiv 1905.00414, figure 2.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from torch import Tensor

from efflab.distill import AlignedPca
from efflab.figures.picture import MAX_ROWS, Picture, draw, thinned
from efflab.figures.text import fixed, percent_text
from efflab.figures.theme import Json, layer_look

GAP = 0.06
"""Free space between the two planes, as a fraction of the picture."""
WHITE, BLACK = "#FFFFFF", "#000000"
"""Two lines around the chosen cell: one of them is seen on any colour. Numbers in cells are one or the other."""
MIDDLE = 0.5
"""From here on the colours of the heat map are so bright that black is better seen on them than white."""


def cka_map(cka: pd.DataFrame, teacher_layer: str, student_layer: str) -> Picture:
    """CKA of each layer of the teacher (a row) with each of the student (a column), the chosen pair marked.

    The numbers stand in the cells, that of the pair in brackets.
    """
    row, column = list(cka.index).index(teacher_layer), list(cka.columns).index(student_layer)
    heat = {
        "type": "heatmap",
        "z": cka.to_numpy(),
        "zmin": 0,
        "zmax": 1,
        "showscale": False,  # the numbers stand in the cells, and a narrow page has no room for more
        "hovertemplate": "CKA %{z:.3f}<extra></extra>",
    }
    axis: Json = {"showgrid": False, "ticks": "", "tickangle": 0}
    layout = {
        "title": {"text": "CKA, from 0 to 1 (measured)"},
        "xaxis": axis | _named(cka.columns, "layer of the student", [-0.5, len(cka.columns) - 0.5]),
        "yaxis": axis | _named(cka.index, "layer of the teacher", [len(cka.index) - 0.5, -0.5]),
        "shapes": [_frame(row, column, WHITE, 6), _frame(row, column, BLACK, 2)],
    }
    figure = draw([heat, _numbers(cka, row, column)], layout)
    return Picture(figure, _cka_sentence(cka, teacher_layer, student_layer), _cka_table(cka))


def aligned_points(
    points: AlignedPca, labels: Tensor, classes: Sequence[str], teacher_layer: str, student_layer: str
) -> Picture:
    """Both layers projected onto a plane, side by side, the student's points turned onto the teacher's.

    A point is an image; its colour and marker say the class, whose name stands in the middle of its points.
    """
    sides = {
        f"teacher, {teacher_layer}": (points.x.numpy(), points.x_explained),
        f"student, {student_layer}": (points.y.numpy(), points.y_explained),
    }
    index = labels.numpy()
    present = [label for label in range(len(classes)) if bool((index == label).any())]
    traces = [
        trace
        for number, (xy, _) in enumerate(sides.values())
        for trace in [_cloud(xy, index, label, classes, number) for label in present]
    ]
    traces += [_names(xy, index, present, classes, number) for number, (xy, _) in enumerate(sides.values())]
    reach = 1.1 * float(np.abs(np.concatenate([points.x.numpy(), points.y.numpy()])).max())
    layout = _planes(reach) | {"annotations": [_title(number, side) for number, side in enumerate(sides.items())]}
    layout["legend"] = {"y": -0.14, "yanchor": "top"}
    table = _points_table(points, index, present, classes)
    return Picture(draw(traces, layout), _points_sentence(points, len(index), teacher_layer, student_layer), table)


def _numbers(cka: pd.DataFrame, row: int, column: int) -> Json:
    """The numbers in the cells, black or white, whichever is seen on the cell's colour; the chosen one in brackets."""
    cells = [(i, j, float(value)) for i, values in enumerate(cka.to_numpy()) for j, value in enumerate(values)]
    return {
        "type": "scatter",
        "mode": "text",
        "x": [j for _, j, _ in cells],
        "y": [i for i, _, _ in cells],
        "text": [f"<b>[{value:.2f}]</b>" if (i, j) == (row, column) else f"{value:.2f}" for i, j, value in cells],
        "textfont": {"color": [BLACK if value >= MIDDLE else WHITE for _, _, value in cells]},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _named(names: "pd.Index[str]", title: str, ends: list[float]) -> Json:
    return {"title": {"text": title}, "range": ends, "tickvals": list(range(len(names))), "ticktext": list(names)}


def _frame(row: int, column: int, colour: str, width: int) -> Json:
    corners = {"x0": column - 0.5, "x1": column + 0.5, "y0": row - 0.5, "y1": row + 0.5}
    return {"type": "rect", **corners, "line": {"color": colour, "width": width}}


def _cka_sentence(cka: pd.DataFrame, teacher_layer: str, student_layer: str) -> str:
    column = cka[student_layer]
    nearest = str(column.idxmax())
    chosen = float(column[teacher_layer])
    most = f"The student's {student_layer} is most like the teacher's {nearest}: CKA {column.max():.2f} (measured)."
    if nearest == teacher_layer:
        return f"{most} This pair is chosen."
    return f"{most} The chosen pair, with the teacher's {teacher_layer}, has {chosen:.2f}."


def _cka_table(cka: pd.DataFrame) -> pd.DataFrame:
    named = zip(cka.index, cka.to_numpy(), strict=True)
    rows = [(str(name), *(f"{value:.3f}" for value in values)) for name, values in named]
    return pd.DataFrame(rows[:MAX_ROWS], columns=["teacher / student", *cka.columns])


def _axes(number: int) -> Json:
    """Which plane a trace or a title belongs to: 0 the left one, 1 the right one."""
    return {"xaxis": "x2", "yaxis": "y2"} if number else {"xaxis": "x", "yaxis": "y"}


def _cloud(xy: np.ndarray, index: np.ndarray, label: int, classes: Sequence[str], number: int) -> Json:
    own = thinned(xy[index == label])
    return {
        "type": "scatter",
        "mode": "markers",
        "name": classes[label],
        "legendgroup": classes[label],
        "showlegend": number == 0,
        "x": [float(point[0]) for point in own],
        "y": [float(point[1]) for point in own],
        "marker": layer_look(label)["marker"],
        "hovertemplate": f"{classes[label]}<extra></extra>",
        **_axes(number),
    }


def _names(xy: np.ndarray, index: np.ndarray, present: Sequence[int], classes: Sequence[str], number: int) -> Json:
    """The name of each class in the middle of its points."""
    middles = [xy[index == label].mean(axis=0) for label in present]
    return {
        "type": "scatter",
        "mode": "text",
        "x": [float(middle[0]) for middle in middles],
        "y": [float(middle[1]) for middle in middles],
        "text": [f"<b>{classes[label]}</b>" for label in present],
        "hoverinfo": "skip",
        "showlegend": False,
        **_axes(number),
    }


def _planes(reach: float) -> Json:
    """Two square planes with the same scale; the unit is that both clouds have size 1."""
    axis: Json = {"range": [-reach, reach], "showticklabels": False, "ticks": "", "mirror": True}
    first, second = {"title": {"text": "direction 1"}}, {"title": {"text": "direction 2"}}
    left, right = [0, 0.5 - GAP / 2], [0.5 + GAP / 2, 1]
    return {
        "xaxis": axis | first | {"domain": left},
        "xaxis2": axis | first | {"domain": right, "anchor": "y2"},
        "yaxis": axis | second | {"scaleanchor": "x", "constrain": "domain", "constraintoward": "bottom"},
        "yaxis2": axis | {"anchor": "x2", "scaleanchor": "x2", "constrain": "domain", "constraintoward": "bottom"},
    }


def _title(number: int, side: tuple[str, tuple[np.ndarray, float]]) -> Json:
    name, (_, explained) = side
    whose, layer = name.split(", ", 1)
    return {
        "text": f"<b>{whose}</b> {layer}<br>variance {percent_text(explained, 0)}",
        "xref": "x2 domain" if number else "x domain",
        "yref": "y2 domain" if number else "y domain",
        "x": 0.5,
        "y": 1.0,
        "yanchor": "bottom",
        "showarrow": False,
    }


def _points_sentence(points: AlignedPca, n: int, teacher_layer: str, student_layer: str) -> str:
    return (
        f"{n:,} images on two main directions, which keep {percent_text(points.x_explained, 0)} of the variance of "
        f"the teacher's {teacher_layer} and {percent_text(points.y_explained, 0)} of that of the student's "
        f"{student_layer}. "
        "The student's points are turned onto the teacher's."
    )


def _points_table(
    points: AlignedPca, index: np.ndarray, present: Sequence[int], classes: Sequence[str]
) -> pd.DataFrame:
    """Where the middle of each class lies."""
    rows = []
    for label in present[:MAX_ROWS]:
        middles = [side.numpy()[index == label].mean(axis=0) for side in (points.x, points.y)]
        cells = (fixed(float(one), 4) for middle in middles for one in middle)
        rows.append((classes[label], int((index == label).sum()), *cells))
    columns = ["class", "images", "teacher 1", "teacher 2", "student 1", "student 2"]
    return pd.DataFrame(rows, columns=columns)

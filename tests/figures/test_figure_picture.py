"""Rules that every picture keeps."""

import re

import pandas as pd
import plotly.graph_objects as go
import pytest
import support
import torch

from efflab.data import Classification
from efflab.distill import aligned_pca
from efflab.figures import (
    Picture,
    activations,
    aligned_points,
    bias_curve,
    bits_by_layer,
    bits_sensitivity,
    blocks,
    changed,
    channel_sensitivity,
    cka_map,
    dark_knowledge,
    filters,
    frontier_map,
    grid_errors,
    histogram,
    layer_times,
    layers,
    loss_landscapes,
    loss_sweep,
    loss_weights,
    mask,
    missing_recalls,
    number_line,
    pareto,
    roofline,
    scoreboard,
    seed_scores,
    sensitivity,
    soft_answer,
    sparse_speed,
    theme,
    tradeoff,
    training_curve,
    waterfall,
)
from efflab.figures.pareto import Run
from efflab.figures.picture import draw, thinned
from efflab.lab.bits_alone import BitsPoint
from efflab.lab.blocks import Block
from efflab.lab.channels import ChannelPoint
from efflab.lab.filters import Filters
from efflab.lab.missing import MissingClass, Unshown
from efflab.lab.prefixes import Prefix
from efflab.lab.seeds import SeedRun
from efflab.prune import Point
from efflab.scoreboard import Run as StoredRun
from efflab.training import Epoch
from tests.figures.grid_results import FOUND, READ, STEPS, errors
from tests.figures.test_figure_loss_terms import FOUND as LANDSCAPES
from tests.figures.test_figure_loss_terms import NOW as WEIGHED
from tests.figures.test_figure_loss_terms import swept
from tests.figures.test_figure_roofline import CONV, POOL, ROOF, TIMES, WORK
from tests.figures.test_figure_soft_answers import ALIKE
from tests.figures.test_figure_soft_answers import FOUND as SURE
from tests.support import product, tiny_data

NAMED = (
    "layers",
    "layer times",
    "blocks",
    "channel sensitivity",
    "grid errors",
    "bits by layer",
    "loss weights",
    "waterfall",
)
"""Pictures whose vertical axis has the names of the layers, or of the steps, which say it."""


STORED = StoredRun(1, "", "03", "net", "data", "[]", 0, 0.9, 0.88, 0.92, 1000, 5, None, None, None, None, "", "")


@pytest.fixture
def pictures(visit, baseline, size, evaluation) -> dict[str, Picture]:
    """One of each kind, and those that draw something else."""
    weight, label, none = torch.eye(200)[:, :150], torch.zeros(2, dtype=torch.int64), torch.empty(0, dtype=torch.int64)
    products = [product(0.5, 3.0), product(0.9, 0.5), product(0.9, 2.0, rows=128), product(0.9, 0.4, batch=64)]
    run, block = Run("cut", 0.9, 0.88, 0.92, 0.2), Block("a", "Linear", 8, 4, "a", ("a",), "", 16, 4)
    alone = ChannelPoint("a", ("a",), 0.5, 4, evaluation(900), 4, 16, products[0].speed)
    cut = Filters("a", "l1", weight[:5, :5], torch.arange(5.0), torch.arange(5) > 2)
    trail, whole = [visit(0.5, 940), visit(0.8, 901, tuned=True)], size(("a.weight", 100, 60))
    student = Unshown(torch.rand(50, 3), tiny_data(), 1)
    unshown, points = MissingClass(1, student, student), aligned_pca(torch.rand(9, 4), torch.rand(9, 3))
    cka = pd.DataFrame([[0.2, 0.9]], index=["a"], columns=["b", "c"])
    return {
        "tradeoff": tradeoff(trail, "sparsity", baseline=baseline, curve=trail, predicted=(0.8, 0.7), title="t"),
        "tradeoff over a choice": tradeoff(trail, "scope", baseline=baseline, curve=trail),
        "layers": layers(whole, whole),
        "sensitivity": sensitivity([Point("a", 0.5, evaluation(900))], baseline),
        "histogram": histogram("a", weight, weight / 2),
        "mask": mask("a", weight),
        "small mask": mask("a", weight[:5, :5]),
        "changed": changed(torch.rand(2, 1, 8, 8), label, label, label + 1, ("a", "b"), n_changed_total=2),
        "nothing changed": changed(torch.rand(0, 1, 8, 8), none, none, none, ("a", "b"), n_changed_total=0),
        "training": training_curve([Epoch(1, 3, 0.5, 0.9)], 3, Classification(), before=0.8),
        "sparse speed": sparse_speed(products, rows=64, columns=32, batch=1, chosen=products[0], predicted=0.7),
        "frontier": frontier_map(products),
        "roofline": roofline([CONV, POOL], ROOF),
        "layer times": layer_times(WORK, TIMES),
        "blocks": blocks([block], highlight="a"),
        "channel sensitivity": channel_sensitivity([alone], baseline),
        "filters": filters(cut),
        "number line": number_line(FOUND),
        "number line in steps": number_line(STEPS),
        "activations": activations(READ),
        "grid errors": grid_errors(errors()),
        "bits by layer": bits_by_layer(errors()),
        "bits sensitivity": bits_sensitivity([BitsPoint("a", 4, evaluation(900))], baseline),
        "soft answer": soft_answer(SURE, ("a", "b", "c")),
        "soft answer on a logarithmic scale": soft_answer(SURE, ("a", "b", "c"), "logarithmic"),
        "dark knowledge": dark_knowledge(ALIKE, ("a", "b", "c"), 4.0),
        "loss weights": loss_weights(WEIGHED, 10),
        "loss sweep": loss_sweep(swept(), WEIGHED),
        "loss landscapes": loss_landscapes(LANDSCAPES, ("a", "b", "c"), 0.9, 4.0),
        "pareto": pareto([run], Classification(), batch=1, base=(0.95, 0.3)),
        "recalls": missing_recalls(unshown, 1.0),
        "bias curve": bias_curve(unshown, 1.0),
        "CKA": cka_map(cka, "a", "c"),
        "waterfall": waterfall([Prefix((), trail[0])], Classification()),
        "scoreboard": scoreboard([STORED, STORED._replace(score=0.8)], "packed_bytes", Classification(), STORED),
        "seed scores": seed_scores(
            [SeedRun(support.tiny_lab(seed), trail[0], False) for seed in range(3)], Classification()
        ),
        "aligned points": aligned_points(points, torch.arange(9) % 3, ("x", "y", "z"), "a", "b"),
    }


def test_plotly_finds_every_figure_valid(pictures):
    assert len(pictures) == 37
    for name, picture in pictures.items():
        checked = go.Figure(picture.figure.to_dict())  # raises for a property or a value that plotly does not know
        assert len(checked.data) == len(picture.figure.data), name


def test_every_figure_carries_our_small_template_and_not_plotlys(pictures):
    for name, picture in pictures.items():
        template = picture.figure.layout.template.to_plotly_json()
        assert set(template["data"]) == {"scatter", "bar", "heatmap", "contour"}, name
        assert template["layout"]["paper_bgcolor"] == theme.WHITE


def test_no_figure_sets_a_size_of_font_or_a_line_width_that_the_projector_would_have_to_change(pictures):
    for name, picture in pictures.items():
        content = picture.figure.to_dict()
        content["layout"].pop("template")
        assert not re.search(r"font': {[^}]*'(size|family)'", str(content)), name
        widths = [trace.get("line", {}).get("width", 0) for trace in content["data"]]
        assert set(widths) == {0} or widths == [], name


def test_every_axis_that_is_shown_has_a_title(pictures):
    for name, picture in pictures.items():
        axes = [picture.figure.layout.xaxis, picture.figure.layout.yaxis]
        untitled = [a for a in axes if a.visible is not False and a.showticklabels is not False and not a.title.text]
        assert len(untitled) == (1 if name in NAMED else 0), name


def test_every_table_names_its_columns_and_every_sentence_ends(pictures):
    for name, picture in pictures.items():
        assert picture.sentence.endswith("."), name
        assert all(isinstance(column, str) for column in picture.table.columns), name
        assert "-0.0" not in picture.sentence
        assert len(picture.table) <= 200


def test_a_picture_needs_a_sentence():
    with pytest.raises(ValueError, match="sentence must say what the picture shows, not ' '"):
        Picture(draw([], {}), " ", pd.DataFrame())


def test_a_table_that_nobody_would_read_is_refused():
    with pytest.raises(ValueError, match="at most 200 rows, not 201"):
        Picture(draw([], {}), "Something.", pd.DataFrame({"a": range(201)}))


def test_thinning_keeps_both_ends_and_the_order():
    assert thinned(range(10), 4) == [0, 3, 6, 9]
    assert thinned([1, 2, 3], 4) == [1, 2, 3]

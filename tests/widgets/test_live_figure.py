"""What LiveFigure sends, without a browser: traits only, in one message, from any thread."""

import gzip
import json
import threading
from importlib.resources import files

import comm
import ipywidgets
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.io
import pytest

from efflab.widgets.live_figure import (
    MAX_TABLE_ROWS,
    Clicked,
    LiveFigure,
    pack_figure,
    packed_plotly,
    table_twin,
)

ALT = "The accuracy falls from 94 to 90 %."


def curve(*heights: float) -> go.Figure:
    return go.Figure(go.Scatter(y=list(heights)))


def heights(view: LiveFigure) -> list[float]:
    return json.loads(view.picture)["data"][0]["y"]


@pytest.fixture
def view(monkeypatch: pytest.MonkeyPatch) -> LiveFigure:
    # Once something imported ipykernel, a channel without a running kernel sends nothing.
    monkeypatch.setattr(comm, "create_comm", comm.DummyComm)
    return LiveFigure(curve(94, 90), alt=ALT)


@pytest.fixture
def sent(view: LiveFigure, monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What goes to the page, a dict of traits for each message."""
    messages: list[dict] = []
    monkeypatch.setattr(view, "_send", lambda message, buffers=None: messages.append(message["state"]))
    return messages


def test_a_new_view_holds_its_picture_and_its_sentence(view):
    assert heights(view) == [94, 90]
    assert (view.alt, view.table, view.revision) == (ALT, {}, 1)


def test_show_replaces_picture_sentence_and_table_in_one_message(view, sent):
    view.show(curve(1, 2), alt="It rises.", table=pd.DataFrame({"y": [1, 2]}))
    assert len(sent) == 1
    assert sent[0]["alt"] == "It rises."
    assert sent[0]["revision"] == 2
    assert sent[0]["table"]["rows"] == [["1"], ["2"]]
    assert heights(view) == [1, 2]


def test_show_without_a_table_removes_the_old_one(view):
    view.show(curve(1), alt=ALT, table=pd.DataFrame({"y": [1]}))
    view.show(curve(2), alt=ALT)
    assert view.table == {}


def test_many_threads_may_show_and_no_revision_is_lost(view, sent):
    barrier = threading.Barrier(4)

    def show_often(number: int) -> None:
        barrier.wait(20)
        for _ in range(25):
            view.show(curve(number), alt=f"A line at {number}.")

    threads = [threading.Thread(target=show_often, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert view.revision == 101
    assert view.alt == f"A line at {heights(view)[0]}."
    assert [state["revision"] for state in sent] == list(range(2, 102))


@pytest.mark.parametrize("alt", ["", "  "])
def test_a_picture_without_a_sentence_is_refused(view, alt):
    with pytest.raises(ValueError, match="alt must be a sentence"):
        view.show(curve(1), alt=alt)
    assert heights(view) == [94, 90]


def test_what_is_not_a_figure_is_refused_by_name(view):
    with pytest.raises(TypeError, match=r"plotly\.graph_objects\.Figure, got list"):
        view.show([1, 2], alt=ALT)


def test_the_packed_figure_reads_back_as_plotlys_own_json_without_the_template():
    figure = curve(1, float("nan"), 3).add_bar(x=["a", "b"], y=np.array([1.5, 2.5])).update_layout(title="t")
    expected = json.loads(plotly.io.to_json(figure, validate=False))
    del expected["layout"]["template"]
    assert json.loads(pack_figure(figure)) == expected


def test_packing_leaves_the_figure_as_it_was():
    figure = curve(1, 2)
    before = figure.to_json()
    pack_figure(figure)
    assert figure.to_json() == before


def test_plotly_is_sent_as_it_was_installed():
    installed = files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()
    assert gzip.decompress(packed_plotly()) == installed
    assert len(packed_plotly()) < len(installed) / 2


def test_all_views_share_one_plotly():
    views = [LiveFigure(curve(1), alt=ALT) for _ in range(3)]
    assert len({view.bundle for view in views}) == 1


def test_after_all_widgets_were_closed_a_new_view_brings_plotly_again(view):
    old = view.bundle
    ipywidgets.Widget.close_all()
    assert LiveFigure(curve(1), alt=ALT).bundle != old


def test_the_templates_are_handed_over_once_and_not_with_a_picture(sent, view):
    looks = {"light": {"layout": {"paper_bgcolor": "white"}}}
    styled = LiveFigure(curve(1), alt=ALT, templates=looks)
    assert styled.templates == looks
    view.show(curve(2), alt=ALT)
    assert "templates" not in sent[0]


def test_a_table_twin_shows_four_digits_thousands_apart_and_a_dash_for_none():
    table = pd.DataFrame({"layer": ["fc1", "fc2"], "share": [0.123456, float("nan")], "kept": [235200, 1000]})
    assert table_twin(table) == {
        "columns": ["layer", "share", "kept"],
        "rows": [["fc1", "0.1235", "235,200"], ["fc2", "-", "1,000"]],
        "left_out": 0,
    }


@pytest.mark.parametrize(("rows", "shown", "left_out"), [(0, 0, 0), (MAX_TABLE_ROWS, 200, 0), (201, 200, 1)])
def test_a_table_twin_has_at_most_200_rows_and_says_how_many_are_left_out(rows, shown, left_out):
    twin = table_twin(pd.DataFrame({"y": range(rows)}))
    assert (len(twin["rows"]), twin["left_out"]) == (shown, left_out)


CLICK = {"type": "clicked", "x": 0.9, "y": 94.0, "curve": 1, "index": 7}


def test_a_click_reaches_every_callback(view):
    seen: list[Clicked] = []
    view.on_clicked(seen.append)
    view.on_clicked(seen.append)
    view._handle_custom_msg(CLICK, [])
    assert seen == [Clicked(x=0.9, y=94.0, curve=1, index=7)] * 2


def test_what_a_click_callback_raises_is_kept_and_shown(view):
    def broken(point: Clicked) -> None:
        raise ValueError(f"no model at {point.x}")

    view.on_clicked(broken)
    view._handle_custom_msg(CLICK, [])
    assert view.message == "ValueError: no model at 0.9"
    assert isinstance(view.last_error, ValueError)


def test_an_export_without_javascript_shows_the_sentence(view):
    assert repr(view) == f"LiveFigure: {ALT}"

"""A written file on the screen: what the panel shows, when it writes, and what goes wrong."""

import threading
from collections.abc import Iterator

import pytest
import support

from efflab import fine_tune, prune_weights, quantize_weights, share_weights, step
from efflab.journal import Journal
from efflab.lab import Lab
from efflab.questions.kinds import Number, Prediction
from efflab.training import Progress
from efflab.widgets import Chapter, EncodedView
from efflab.widgets.asking import PREDICT_FIRST, Gate
from efflab.widgets.worker import worker

SECONDS = 60
RECIPE = (step(prune_weights, sparsity=0.8), step(share_weights, bits=3))


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(support.tiny_cnn(), support.tiny_data())


@pytest.fixture
def gate(tmp_path) -> Iterator[Gate]:
    number = Number(0, 100, 1, "x", 1, "low {measured}", "close {measured}", "high {measured}")
    question = Prediction("smaller", "How many times smaller?", "What did you see?", number)
    yield Gate(question, Journal(tmp_path / "journal.sqlite"), chapter="07")
    worker().wait(SECONDS)


def written(*arguments, **options) -> EncodedView:
    view = EncodedView(*arguments, **options)
    worker().wait(SECONDS)
    return view


def test_the_file_is_written_at_once_and_told_with_its_bytes_and_what_was_read(lab):
    view, expected = written(lab, RECIPE), lab.encode(RECIPE)
    assert view.encoded.layers == expected.layers
    assert view.picture.shown.sentence == view.readout.sentence
    assert f"{expected.n_bytes:,} bytes, {expected.times_smaller:.1f} times smaller" in view.note.value
    assert f"{100 * expected.evaluation.value:.1f} % accuracy" in view.note.value
    assert "measured" in view.note.value
    assert view.last_error is None
    assert view.running.layout.display == "none"


def test_a_recipe_that_trains_trains_first(lab):
    recipe = (step(prune_weights, sparsity=0.5), step(fine_tune, epochs=1), step(share_weights, bits=3))
    watched: list[object] = []

    class WatchedLab(Lab):
        def build(self, recipe, *, progress=None):
            watched.append(progress)
            return super().build(recipe, progress=progress)

    fresh = WatchedLab(support.tiny_cnn(), support.tiny_data())
    assert written(fresh, recipe).encoded.n_bytes == fresh.encode(recipe).n_bytes
    assert watched[0] is not None  # the bar is told, and Stop is heard


def test_a_training_that_is_stopped_writes_nothing_and_runs_to_its_end_the_next_time(tmp_path):
    recipe = (step(prune_weights, sparsity=0.5), step(fine_tune, epochs=2), step(share_weights, bits=3))
    fresh, chapter = stopping_lab(), Chapter("07", journal=Journal(tmp_path / "journal.sqlite"))
    view = written(fresh, recipe)
    assert (view.encoded, view.picture.shown) == (None, None)
    assert "Stopped: nothing was written" in view.note.value
    assert set(chapter.paper("han2016", view).data["kind"]) == {"cited"}
    again = written(fresh, recipe)
    trained = Lab(support.tiny_cnn(), support.tiny_data()).encode(recipe)
    assert (again.encoded.layers, again.encoded.n_bytes) == (trained.layers, trained.n_bytes)
    assert not fresh.preview(recipe).is_partial


def test_a_training_that_had_ended_when_stop_was_pressed_is_written():
    is_there = threading.Event()

    class Pressing(Lab):
        """Presses Stop once the recipe is built, while the file is written."""

        def encode(self, recipe):
            assert is_there.wait(SECONDS)
            view.stop()
            return super().encode(recipe)

    recipe = (step(fine_tune, epochs=1), step(share_weights, bits=3))
    view = EncodedView(Pressing(support.tiny_cnn(), support.tiny_data()), recipe)
    is_there.set()
    worker().wait(SECONDS)
    assert view.encoded.n_bytes > 0
    assert "Stopped" not in view.note.value


def test_what_another_panel_stopped_runs_to_its_end_before_it_is_written():
    lab, recipe, stopped = Lab(support.tiny_cnn(), support.tiny_data()), (step(fine_tune, epochs=1),), Progress()
    stopped.stop()
    lab.build(recipe, progress=stopped)
    assert written(lab, recipe).encoded is not None
    assert not lab.is_partial(recipe)


def stopping_lab() -> Lab:
    """A lab whose first training is stopped after its first batch."""

    class StoppingLab(Lab):
        n_builds = 0

        def build(self, recipe, *, progress=None):
            self.n_builds += progress is not None
            if self.n_builds == 1 and progress is not None:
                then = progress.on_batch
                progress.on_batch = lambda done: (progress.stop(), then(done))
            return super().build(recipe, progress=progress)

    return StoppingLab(support.tiny_cnn(), support.tiny_data())


def test_nothing_is_written_before_the_prediction_and_then_it_gets_its_answer(lab, gate):
    view = written(lab, RECIPE, gate=gate, answer=lambda encoded: encoded.times_smaller)
    assert (view.encoded, view.picture.shown) == (None, None)
    assert PREDICT_FIRST in view.note.value
    gate.lock_in(90)
    worker().wait(SECONDS)
    assert gate.measured == view.encoded.times_smaller
    assert "Your prediction has its answer now" in view.readout.sentence


def test_without_codebooks_there_is_no_picture_and_the_bytes_are_told(lab):
    view = written(lab, ())
    assert view.picture.shown is None
    assert f"{lab.encode(()).n_bytes:,} bytes" in view.note.value


def test_what_cannot_be_written_says_why(lab):
    view = written(lab, (step(quantize_weights),))
    assert "on a grid of 8 bits" in view.readout.error
    assert "not written" in view.note.value
    assert view.encoded is None


def test_what_is_no_recipe_is_refused(lab):
    with pytest.raises(TypeError):
        EncodedView(lab, share_weights)


def test_a_chapter_puts_the_file_below_the_published_ones(lab, tmp_path):
    chapter = Chapter("07", journal=Journal(tmp_path / "journal.sqlite"))
    view = chapter.encoded(lab, RECIPE)
    worker().wait(SECONDS)
    table = chapter.paper("han2016", view).data
    assert "compressed (kB)" in chapter.paper("han2016", view).to_html()
    assert list(table["kind"]) == ["cited"] * (len(table) - 1) + ["measured"]
    view.encoded = None
    assert set(chapter.paper("han2016", view).data["kind"]) == {"cited"}

"""What the tests of the scoreboard share."""

import pytest
import support

from efflab.lab import measuring


@pytest.fixture
def stopwatch(monkeypatch) -> support.AnsweringStopwatch:
    """Nothing is really timed."""
    answering = support.AnsweringStopwatch()
    monkeypatch.setattr(measuring, "stopwatch", lambda: answering)
    return answering

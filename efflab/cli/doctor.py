"""Does everything work on this machine? Each check does a small thing that a chapter will do, and says how it went.

Versions are told, but what is judged is behaviour: a network is trained, exported and run; the journal is written. The
imports stand inside the checks, because a library that cannot be imported is a finding, not a crash.

    examine()               all findings, shown as a table in a notebook
    examine().line          one line to paste to a teacher; it holds no names, no folders and nothing personal
"""

import hashlib
import json
import math
import os
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

from efflab.cli.findings import Check, Examination, TroubleError, version_of

MIN_MEMORY_BYTES = 1_000_000_000
MIN_DISK_BYTES = 500_000_000
MAX_CLOCK_STEP_S = 1e-5
MAX_SCORE_GAP = 1e-4
BAD_KERNEL = "7.4.0"
REINSTALL = "Install efflab again, from a full checkout: pip install -e . -c constraints.txt."


def examine() -> Examination:
    """Run every check; a few seconds."""
    return Examination(tuple(check() for check in CHECKS))


def _look_at_network() -> str:
    import torch

    from efflab import models, runtime

    model = models.build("mlp", shape=(1, 8, 8), sizes=(16,), seed=0)
    images = torch.rand((32, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        artefact = runtime.export(model, (1, 8, 8), Path(folder))
        found = runtime.parity(artefact, model, images)
    if found.max_difference > MAX_SCORE_GAP or found.agreement < 1:
        raise TroubleError(
            f"an exported network answers differently in ONNX Runtime: {found.agreement:.0%} equal answers, "
            f"scores up to {found.max_difference:.1g} apart"
        )
    return f"a network was built, exported and run in ONNX Runtime, and gave the same {found.n} answers"


def _look_at_training() -> str:
    from efflab import models, training
    from efflab.data import load

    model = models.build("mlp", shape=(1, 8, 8), sizes=(32,), seed=0)
    *_, record = training.train(model, load("digits"), epochs=3)
    loss, guessing = record.train_loss, math.log(10)
    if not loss < guessing:
        raise TroubleError(f"three epochs of training gave a loss of {loss:.2f}, and mere guessing has {guessing:.2f}")
    return f"three epochs of training gave a loss of {loss:.2f}, below the {guessing:.2f} of guessing"


def _look_at_processor() -> str:
    from efflab.measure.machine import describe_machine

    return describe_machine().sentence


def _look_at_clock() -> str:
    from efflab.measure import clock

    step = clock.smallest_step()
    if not step <= MAX_CLOCK_STEP_S:
        raise TroubleError(f"the clock moves in steps of {step * 1e3:.3g} ms, too coarse for a network of 0.1 ms")
    return f"the clock tells moments {step * 1e9:.0f} ns apart"


def _look_at_memory() -> str:
    import psutil

    from efflab.measure.machine import describe_machine

    free = int(psutil.virtual_memory().available)
    if free < MIN_MEMORY_BYTES:
        raise TroubleError(f"only {free / 1e9:.1f} GB of memory are free; a lab wants {MIN_MEMORY_BYTES / 1e9:.0f} GB")
    cache = describe_machine().cache_bytes
    largest = "" if cache is None else f", and the largest cache holds {cache / 1e6:.3g} MB"
    return f"{free / 1e9:.1f} GB of memory are free{largest}"


def _look_at_disk() -> str:
    from efflab.data.cache import cache_folder

    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"efflab")
    free = shutil.disk_usage(folder).free
    if free < MIN_DISK_BYTES:
        raise TroubleError(f"only {free / 1e9:.2f} GB are free where efflab keeps its data")
    return f"the folder for data can be written and has {free / 1e9:.1f} GB free"


def _look_at_journal() -> str:
    from efflab.journal import Journal

    journal = Journal()
    n_entries = len(journal.entries())
    if journal.path.exists() and not os.access(journal.path, os.W_OK):
        raise TroubleError(f"{journal.path} is read-only")
    journal.path.parent.mkdir(parents=True, exist_ok=True)
    # In a folder of its own beside the journal: a trial entry would stay in the journal for ever.
    with tempfile.TemporaryDirectory(dir=journal.path.parent, ignore_cleanup_errors=True) as folder:
        trial = Journal(Path(folder) / "trial.sqlite")
        trial.record("answer", "doctor", 1, chapter="doctor")
        if [entry.value for entry in trial.entries()] != [1]:
            raise TroubleError("what was written into a trial journal was not read back")
    return f"the journal can be read and written; it holds {n_entries} entries"


def _look_at_checkpoints() -> str:
    from efflab import models

    names = models.names()
    if not names:
        raise TroubleError("no trained network came along")
    for name in names:
        models.load(name)
    return f"{len(names)} trained networks load, and their checksums are right"


def _look_at_digits() -> str:
    from efflab import shipped

    expected = json.loads((shipped.folder("expected") / "digits.json").read_text(encoding="utf-8"))
    found = digits_fingerprint()
    if found != expected:
        raise TroubleError(f"scikit-learn's digits are not the ones that efflab was tested with: {found} != {expected}")
    return f"the {found['n_images']} digits are the ones that efflab was tested with"


def digits_fingerprint() -> dict[str, object]:
    """What data/expected/digits.json holds: how many digits there are, and the sha256 of their pixels and labels.

    Pixels are whole numbers from 0 to 16, one byte each, image by image; the labels follow. So every machine gets the
    same bytes.
    """
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    content = pixels.astype("uint8").tobytes() + labels.astype("uint8").tobytes()
    return {"n_images": len(pixels), "sha256": hashlib.sha256(content).hexdigest()}


def _look_at_kernel() -> str:
    import ipykernel.kernelapp  # noqa: F401  (what a notebook starts)

    found = version_of("ipykernel")
    if found == BAD_KERNEL:
        raise TroubleError(f"ipykernel {BAD_KERNEL} leaves sliders dead after some cells")
    return f"ipykernel {found} can be imported, and is not the one that leaves sliders dead"


def _look_at_widgets() -> str:
    import anywidget
    import ipywidgets

    n_traits = [len(widget.traits(sync=True)) for widget in (ipywidgets.FloatSlider(), anywidget.AnyWidget())]
    if not all(n_traits):
        raise TroubleError("a slider without anything to show was made")
    origin = getattr(find_spec("plotly"), "origin", None)
    script = Path(origin or "").parent / "package_data" / "plotly.min.js"
    if not origin or not script.is_file() or script.stat().st_size < 1_000_000:
        raise TroubleError("plotly.min.js, which draws the pictures, is missing")
    return "sliders can be made, and plotly.min.js is there to draw the pictures"


CHECKS = (
    Check("network", REINSTALL, _look_at_network),
    Check("training", REINSTALL, _look_at_training),
    Check("processor", "Sizes and accuracies are right; why something is slow cannot be told.", _look_at_processor),
    Check("clock", "Do not trust speeds on this machine; sizes and accuracies are right.", _look_at_clock),
    Check("memory", "Close other programs and notebooks.", _look_at_memory),
    Check("disk", "Free some space, or set EFFLAB_CACHE to a folder that you may write.", _look_at_disk),
    Check("journal", "Set EFFLAB_JOURNAL to a file that you may write.", _look_at_journal),
    Check("checkpoints", REINSTALL, _look_at_checkpoints),
    Check(
        "digits",
        "Install the tested versions, from a full checkout: pip install -e . -c constraints.txt.",
        _look_at_digits,
    ),
    Check("kernel", 'Install another one: pip install "ipykernel<7".', _look_at_kernel),
    Check("widgets", "Install again: pip install --force-reinstall ipywidgets anywidget plotly.", _look_at_widgets),
)
"""All checks, in the order in which a chapter would miss them."""

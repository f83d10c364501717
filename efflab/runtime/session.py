"""One way to open a file in ONNX Runtime, used for checking answers here and for timing in the subprocess.

Loads neither torch nor the rest of efflab at run time: the subprocess that measures speed reads this file by
itself.

Privacy: since version 1.29 the published builds of ONNX Runtime send usage data over the network unless
`ORT_DISABLE_TELEMETRY` is set before they are first loaded. efflab works offline and sends nothing, so it is
set here.

Reference: ONNX Runtime, Thread management,
https://onnxruntime.ai/docs/performance/tune-performance/threading.html.

Where we simplify: CPU only, and the operators of one graph run one after the other. At work: choose the
execution provider.
"""

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from types import ModuleType

    import onnxruntime

    from efflab.runtime.export import Artefact

RUNTIME = "onnxruntime"
"""The name by which an artefact asks for ONNX Runtime."""
CHANGING_ANSWERS = ("WeightBiasQuantization",)
"""What a session must not do: put float weights onto grids of its own where their inputs lie on one."""


def session(artefact: "Artefact", *, threads: int = 1) -> "onnxruntime.InferenceSession":
    """A session that executes the artefact on `threads` threads.

    Raises:
        ValueError: the artefact is for another runtime.
        ImportError: ONNX Runtime is not installed.

    Reference: ONNX Runtime, Thread management.
    """
    check_runtime(artefact)
    return open_file(str(artefact.path), threads)


def check_runtime(artefact: "Artefact", known: tuple[str, ...] = (RUNTIME,)) -> None:
    """Raise ValueError unless the artefact is executed by one of the known runtimes."""
    if artefact.runtime not in known:
        names = " and ".join(map(repr, known))
        raise ValueError(f"{artefact.path.name} is for the runtime {artefact.runtime!r}; only {names} is known here")


def load() -> "ModuleType":
    """ONNX Runtime itself, with its reports switched off.

    Raises:
        ImportError: it is not installed; the message says how to get it.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(f"ONNX Runtime cannot be loaded ({error}): `pip install onnxruntime` installs it") from error
    onnxruntime.disable_telemetry_events()  # for the case that somebody loaded it before us
    return cast("ModuleType", onnxruntime)


def version() -> str:
    """Which ONNX Runtime this is.

    Raises:
        ImportError: it is not installed.
    """
    return f"ONNX Runtime {load().__version__}"


def runs(request: dict[str, Any]) -> Iterator[Callable[[], object]]:
    """What the stopwatch times: the base, the base again in a session of its own, and the candidate.

    A request with a "profile" asks for `profiled_runs` instead.
    """
    if "profile" in request:
        return profiled_runs(request)
    paths = (request["base"], request["base"], request["now"])
    return (forward_pass(open_file(path, request["threads"]), request["batch"], request["shape"]) for path in paths)


def profiled_runs(request: dict[str, Any]) -> Iterator[Callable[[], object]]:
    """A network, a file whose only input is one number, and both once more in sessions that write what each node took.

    request["now"] and ["chain"]: the two files; ["profile"]: a folder, in which the names of what the sessions write
    begin with "now" and "chain".
    """
    network = (request["now"], request["batch"], request["shape"])
    chain = (request["chain"], 1, [1, 1, 1])
    for path, batch, shape in (network, chain):
        yield forward_pass(open_file(path, request["threads"]), batch, shape)
    noted = [
        forward_pass(open_file(path, request["threads"], profile=f"{request['profile']}/{name}"), batch, shape)
        for name, (path, batch, shape) in (("now", network), ("chain", chain))
    ]
    yield lambda: [run() for run in noted]


def forward_pass(session: "onnxruntime.InferenceSession", batch: int, shape: list[int]) -> Callable[[], object]:
    """One forward pass of random images (batch, *shape), float32."""
    images = np.random.default_rng(0).random((batch, *shape), dtype=np.float32)
    feed = {session.get_inputs()[0].name: images}
    return lambda: session.run(None, feed)


def open_file(
    path: str | bytes, threads: int, *, profile: str = "", optimized: str = ""
) -> "onnxruntime.InferenceSession":
    """A session for the ONNX file at `path`, or for what such a file holds, on `threads` threads, silent and private.

    The threads do not spin while they wait. Spinning makes one session alone a little faster, but it takes a
    core from the notebook beside it, and the sessions of a comparison would slow each other down.

    With `profile`, the beginning of a path, the session writes what each node took to a file whose name begins so,
    when the session ends. With `optimized`, a path, it writes the graph that it executes to that file.
    """
    onnxruntime = load()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    if optimized:
        options.optimized_model_filepath = optimized
    options.log_severity_level = 4  # fatal only: what goes wrong is raised as well
    return onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"], disabled_optimizers=[*CHANGING_ANSWERS]
    )

"""How much memory a network takes, from inside a process that does nothing else. It is run as a file, once a question.

The network is loaded and run twice. The first time, with one image, is for all that comes along once: code that is
read from the disk, tables that a library fills. The second time counts: how far the memory that the process holds
grows while the network is loaded, and how far beyond that while it works.

The operating system counts in pages of 4 kB or more, and gives the highest number since it was last reset. Where that
cannot be reset (all but Linux), the highest number since the start stands for it; the first run is smaller, so it is
the second's all the same.

Reference: Linux, proc_pid_clear_refs(5); psutil, Process.memory_info.

Where we simplify: what the runtime keeps for its next run counts as the network's. At work: memray, or the heap
profile of your runtime.
"""

import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from efflab.runtime.eager import SUFFIX, open_eager
from efflab.runtime.session import open_file

OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda weights: torch.optim.SGD(weights, lr=1e-6),
    "momentum": lambda weights: torch.optim.SGD(weights, lr=1e-6, momentum=0.9),
    "adam": lambda weights: torch.optim.Adam(weights, lr=1e-6),
}
"""What a training step may be made by; the learning rate is tiny, for the weights must stay finite."""


def held() -> int:
    """Bytes of memory that this process holds now."""
    gc.collect()
    n_bytes: int = psutil.Process().memory_info().rss
    return n_bytes


def reset_peak() -> None:
    """Begin a new highest number, where the system can."""
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """The highest number of bytes that this process has held."""
    if sys.platform == "linux":
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    if sys.platform == "win32":
        n_bytes: int = psutil.Process().memory_info().peak_wset
        return n_bytes
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def load(path: str) -> Callable[[int, list[int], str | None], None]:
    """What runs the network in the file: with a batch, a shape, and an optimizer or None for inference."""
    if not path.endswith(SUFFIX):
        session = open_file(path, 1)
        name = session.get_inputs()[0].name
        return lambda batch, shape, _: session.run(None, {name: images(batch, shape)})
    model = open_eager(path)

    def work(batch: int, shape: list[int], optimizer: str | None) -> None:
        inputs = torch.from_numpy(images(batch, shape))
        if optimizer is None:
            with torch.inference_mode():
                model(inputs)
            return
        step = OPTIMIZERS[optimizer]([weight for weight in model.parameters() if weight.requires_grad])
        for _ in range(2):  # the second one holds what the optimizer remembers of the first
            step.zero_grad()
            scores = model.train()(inputs)
            torch.nn.functional.cross_entropy(scores, torch.zeros(batch, dtype=torch.long)).backward()
            step.step()

    return work


def images(batch: int, shape: list[int]) -> np.ndarray[Any, Any]:
    """Random images (batch, *shape), float32."""
    return np.random.default_rng(0).random((batch, *shape), dtype=np.float32)


def measure(path: str, batch: int, shape: list[int], optimizer: str | None) -> dict[str, int]:
    """Bytes by which this process grows: `loaded` with the network, and `worked` at most beyond that."""
    work = load(path)
    work(2, shape, optimizer)  # two: a batch norm cannot learn from one
    del work
    before = held()
    work = load(path)
    loaded = held()
    reset_peak()
    work(batch, shape, optimizer)
    return {"loaded": loaded - before, "worked": peak() - loaded}


def main() -> None:
    """Answer the one question in argv[1], as JSON, on the standard output."""
    torch.set_num_threads(1)
    try:
        answer: dict[str, Any] = measure(**json.loads(sys.argv[1]))
    except Exception as error:  # whatever the runtime says about what it was given is the answer
        answer = {"error": (str(error).strip() or type(error).__name__).splitlines()[0]}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()

"""Resident memory of a kernel that has a bench open, in megabytes, against one that has only imported torch."""

import textwrap

from _report import compare
from jupyter_client.manager import start_new_kernel

GOAL_MB = 600
RESIDENT = "print(int(open('/proc/self/statm').read().split()[1]) * __import__('os').sysconf('SC_PAGESIZE') / 1e6)"


def resident_mb(code: str) -> float:
    """The resident memory of a kernel after it has run `code`. Linux only: it reads /proc."""
    manager, client = start_new_kernel()
    try:
        printed: list[str] = []

        def read(message: dict) -> None:
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])
            elif message["msg_type"] == "error":
                raise RuntimeError(message["content"]["evalue"])

        client.execute_interactive(code + "\n" + RESIDENT, output_hook=read, timeout=300)
        return float(printed[-1])
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


BENCH = """
from efflab import Lab
from efflab.widgets.worker import worker
bench = Lab.open("cnn-scattered").bench(controls=("sparsity",))
for sparsity in (0.5, 0.8, 0.9):
    bench.set(sparsity=sparsity)
    worker().wait(60)
bench.reveal()
worker().wait(120)
"""


def main() -> None:
    """The subprocess that times is not counted: it is another process, of about 60 MB."""
    base, candidate = resident_mb("import torch"), resident_mb(textwrap.dedent(BENCH))
    compare("memory", ("kernel with torch", base), ("kernel with the bench open", candidate), GOAL_MB / base, unit="MB")


if __name__ == "__main__":
    main()

"""`import efflab.lab`, what a learner needs, over `import torch`, each in a fresh interpreter, in turns.

`import efflab` alone loads nothing until a name is asked for, so it would be no comparison.
"""

import subprocess
import sys

from _report import compare, interleave


def main() -> None:
    """The start of the interpreter is in both."""

    def importing(module: str) -> None:
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True)

    base, candidate = interleave(lambda: importing("torch"), lambda: importing("efflab.lab"), 9)
    compare("import", ("import torch", base), ("import efflab.lab", candidate), goal=1.1, unit="s")


if __name__ == "__main__":
    main()

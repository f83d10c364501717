"""`import efflab` over `import torch`, each in a fresh interpreter, in turns."""

import subprocess
import sys

from _report import compare, interleave


def main() -> None:
    """The start of the interpreter is in both."""

    def importing(module: str) -> None:
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True)

    base, candidate = interleave(lambda: importing("torch"), lambda: importing("efflab"), 9)
    compare("import", ("import torch", base), ("import efflab", candidate), goal=1.1, unit="s")


if __name__ == "__main__":
    main()

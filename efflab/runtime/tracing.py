"""Following a forward pass with symbols, whatever other threads run meanwhile.

Reference: Reed et al., torch.fx: practical program capture and transformation for deep learning in Python, 2022, arXiv
2112.08429.

Where we simplify: no path that depends on values. At work: `torch.export`.
"""

import threading
from collections.abc import Callable
from typing import Any

from torch import fx, nn


class Tracer(fx.Tracer):
    """Goes into every module but those of `torch.nn`; what other threads call meanwhile runs as always.

    While it traces, torch.fx replaces `nn.Module.__call__` in the whole process.
    """

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The result of a module that is called: one that the graph holds, or another thread's own."""
        if threading.get_ident() != self._thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

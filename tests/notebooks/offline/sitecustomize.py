"""Python runs this file when it starts, in a kernel and in every process that the kernel starts: no way out.

Whoever tries to leave this machine gets an error, and is written down in the file that EFFLAB_TEST_CALLS names, so that
an attempt which swallows its error is seen as well. Libraries in C with sockets of their own are not caught here; the
browser tests watch the page, and ONNX Runtime is told to keep quiet by efflab itself.
"""

import os
import socket
from collections.abc import Callable
from functools import wraps
from typing import Any

LOOPBACK = {"127.0.0.1", "::1", "localhost", "", None, b"localhost", b"127.0.0.1"}


def refuse(host: object, doing: str) -> None:
    """Raise for a host that is not this machine."""
    if host in LOOPBACK:
        return
    sentence = f"notebooks run offline, and this one tried to {doing} {host!r}"
    with open(os.environ["EFFLAB_TEST_CALLS"], "a", encoding="utf-8") as file:
        file.write(sentence + "\n")
    raise ConnectionRefusedError(sentence)


def guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    """A socket's method, with the address that it is given looked at first."""

    @wraps(method)
    def looks_first(self: socket.socket, *arguments: Any) -> Any:
        address = next((one for one in arguments if isinstance(one, tuple)), ("",))  # a path is no tuple: local
        refuse(address[0], "reach")
        return method(self, *arguments)

    return looks_first


def guarded_lookup(lookup: Callable[..., Any]) -> Callable[..., Any]:
    """A look-up of a name, which would ask a server for any name but our own."""

    @wraps(lookup)
    def looks_first(host: Any, *arguments: Any, **options: Any) -> Any:
        refuse(host, "look up")
        return lookup(host, *arguments, **options)

    return looks_first


for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, guarded(getattr(socket.socket, name)))
for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
    setattr(socket, name, guarded_lookup(getattr(socket, name)))

"""What a check of this machine found, and the one line that tells it to a teacher."""

import html
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from efflab import __version__


@dataclass(frozen=True)
class Finding:
    """What one check found; `sentence` says it, and what to do if it is not ok."""

    name: str
    ok: bool
    sentence: str

    @property
    def verdict(self) -> str:
        """Ok or not, and the sentence."""
        return f"{'ok' if self.ok else 'NOT OK'}: {self.sentence}"


class TroubleError(Exception):
    """What a check found to be wrong, as a clause without a full stop."""


@dataclass(frozen=True)
class Check:
    """A check that never raises: `look` returns what it found or raises, and `advice` says what to do then."""

    name: str
    advice: str
    look: Callable[[], str]

    def __call__(self) -> Finding:
        """Look, and tell what was found."""
        try:
            return Finding(self.name, True, f"{self.look()}.")
        except TroubleError as trouble:
            reason = str(trouble)
        except Exception as error:  # whatever is broken here is what the learner wants to know
            text = str(error).strip().splitlines()
            reason = f"{type(error).__name__}: {text[0].rstrip('.')}" if text else type(error).__name__
        return Finding(self.name, False, f"{reason}. {self.advice}")


@dataclass(frozen=True)
class Examination:
    """The findings of all checks."""

    findings: tuple[Finding, ...]

    @property
    def is_ok(self) -> bool:
        """Whether nothing failed, and something was looked at."""
        return bool(self.findings) and all(finding.ok for finding in self.findings)

    @property
    def line(self) -> str:
        """Versions and verdict in one line for a teacher: no names, no folders, nothing personal."""
        packages = ("torch", "onnxruntime", "jupyterlab", "ipykernel")
        machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
        failed = [finding.name for finding in self.findings if not finding.ok]
        verdict = f"{len(self.findings) - len(failed)}/{len(self.findings)} ok"
        return " | ".join(
            [
                f"efflab {__version__}",
                f"py {platform.python_version()}",
                *(f"{name} {version_of(name)}" for name in packages),
                machine,
                verdict + (f", not {', '.join(failed)}" if failed else ""),
            ]
        )

    def __repr__(self) -> str:
        return "\n".join([*(f"{one.name:12} {one.verdict}" for one in self.findings), self.line])

    def _repr_html_(self) -> str:
        """The findings as a table, and the line below it."""
        rows = "".join(
            f"<tr><td>{'ok' if one.ok else '<b>not ok</b>'}</td><th scope='row'>{html.escape(one.name)}</th>"
            f"<td style='text-align:left'>{html.escape(one.sentence)}</td></tr>"
            for one in self.findings
        )
        return f"<table>{rows}</table><p>For your teacher: <code>{html.escape(self.line)}</code></p>"


def version_of(name: str) -> str:
    """The installed version of a package, or that there is none."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"

"""The energy counters of the processor: RAPL, "running average power limit", as Linux shows it in files.

Each package (a chip in its socket) counts the energy it has drawn since some moment, in microjoules, and begins again
at zero when the counter is full. Below a package lie its parts (cores, graphics), which the package has counted
already; `psys`, where there is one, is the whole board, and holds the packages too. So packages are added, and
nothing else. Since 2020 only the administrator may read the counters, because the energy of a computation betrays
what is computed.

Loads nothing of efflab and no library: the stopwatch reads this file by itself.

Reference: Linux kernel, Documentation/power/powercap/powercap.rst; CVE-2020-8694, INTEL-SA-00389.

Where we simplify: the memory modules, which servers count apart, are left out. At work: `perf stat` with its event
`power/energy-pkg/`.
"""

from pathlib import Path
from typing import Any

HIDDEN = "only the administrator may read the processor's energy counter (since CVE-2020-8694)"
MISSING = "this system shows no energy counter of the processor"


def read(root: str = "/") -> dict[str, Any]:
    """What all packages have drawn: {"packages": {name: [energy_uj, range_uj]}, "reason": ""}.

    If one of them cannot be read, `packages` is empty and `reason` says why, as a clause without a full stop.
    """
    zones = sorted((Path(root) / "sys/class/powercap").glob("intel-rapl:*"))
    try:
        packages = {zone.name: _counter(zone) for zone in zones if _is_package(zone)}
    except PermissionError:
        return {"packages": {}, "reason": HIDDEN}
    except (OSError, ValueError) as error:
        return {"packages": {}, "reason": f"the processor's energy counter cannot be read ({error})"}
    return {"packages": packages, "reason": "" if packages else MISSING}


def joules_between(before: dict[str, Any], after: dict[str, Any]) -> float | None:
    """The energy drawn between two readings, over all packages; None if they do not tell.

    A counter that has become smaller has begun again at zero, once. One that has not moved is none.
    """
    first, last = before["packages"], after["packages"]
    if not first or first.keys() != last.keys():
        return None
    drawn = [_drawn(first[name][0], *last[name]) for name in first]
    return sum(drawn) / 1e6 if all(drawn) else None


def _drawn(first_uj: int, last_uj: int, range_uj: int) -> int:
    return last_uj - first_uj if last_uj >= first_uj else last_uj - first_uj + range_uj


def _is_package(zone: Path) -> bool:
    """Whether it is a chip, and neither a part of one (`core`, `dram`) nor the board (`psys`)."""
    return (zone / "name").read_text().startswith("package")


def _counter(zone: Path) -> list[int]:
    return [int((zone / name).read_text()) for name in ("energy_uj", "max_energy_range_uj")]

"""What the operating system says about the machine: cores, instructions, memory, cache, power source, throttling.

Linux answers in small text files, macOS through `sysctl` and `pmset`; Windows says little to a program without extra
packages. What a system does not say is None, and never guessed.

Reference: The Linux kernel documentation: cpuinfo, `Documentation/ABI/testing/sysfs-class-power` and
`sysfs-devices-system-cpu`, CPU performance scaling, Control Group v2 (`cpu.max`); Apple, Determining instruction set
characteristics, Determining system capabilities.

Where we simplify: memory limits of containers are not read, nor what a virtual machine shares with its neighbours. The
caches are those of the first core; Windows tells them only to a program that takes its tables apart, so they are None
there. At work: `lscpu`, `turbostat`, `hwloc`.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from efflab.measure.stopwatch import processor

Power = Literal["mains", "battery", "unknown"]
MAC_CACHES = ("hw.l3cachesize", "hw.perflevel0.l2cachesize", "hw.l2cachesize")
"""What macOS calls its caches, the largest first: Intel's; the fast cores' of Apple; those without such a name."""


@dataclass(frozen=True)
class Reading:
    """What was read, in the system's own words; `flags` are the instructions as the system spells them.

    `n_cores` is what this process may use, `n_cores_total` what there is. `cache_bytes` is the largest cache.
    `throttled`: how often the core or package that got too hot most often was slowed down, since the start of the
    machine.
    """

    processor: str
    n_cores: int
    n_cores_total: int
    flags: frozenset[str] | None = None
    memory_bytes: int | None = None
    cache_bytes: int | None = None
    power: Power = "unknown"
    governor: str | None = None
    max_mhz: float | None = None
    throttled: int | None = None


def read_system(root: Path = Path("/")) -> Reading:
    """What this system says; with another `root`, what the Linux files below it say."""
    if root != Path("/") or (root / "proc/cpuinfo").is_file():
        return read_linux(root)
    if sys.platform == "darwin":
        return read_mac(_output("sysctl", "-a"), _output("pmset", "-g", "batt"))
    n_cores = os.cpu_count() or 1
    return Reading(processor(), n_cores, n_cores, flags=_torch_flags())


def read_linux(root: Path) -> Reading:
    """What the files below `root` say."""
    cpuinfo = _text(root / "proc/cpuinfo") or ""
    n_total = len(re.findall(r"^processor\s*:", cpuinfo, re.MULTILINE)) or 1
    clock = root / "sys/devices/system/cpu/cpu0/cpufreq"
    khz = _number(clock / "cpuinfo_max_freq")
    return Reading(
        processor=processor(str(root / "proc/cpuinfo")),
        n_cores=min(n_total, *_core_limits(root)),
        n_cores_total=n_total,
        flags=_flags(cpuinfo),
        memory_bytes=_memory_bytes(root),
        cache_bytes=_cache_bytes(root),
        power=_power(root),
        governor=_text(clock / "scaling_governor"),
        max_mhz=None if khz is None else khz / 1000,
        throttled=_throttled(root),
    )


def read_mac(sysctl: str, pmset: str) -> Reading:
    """What the output of `sysctl -a` and of `pmset -g batt` says."""
    said = dict(line.split(": ", 1) for line in sysctl.splitlines() if ": " in line)
    present = (name for name, value in said.items() if name.startswith("hw.optional.") and value.strip() == "1")
    n_cores = int(said.get("hw.logicalcpu", os.cpu_count() or 1))
    source = re.search(r"drawing from '(AC|Battery) Power'", pmset)
    names: dict[str, Power] = {"AC": "mains", "Battery": "battery"}
    return Reading(
        processor=said.get("machdep.cpu.brand_string") or processor(),
        n_cores=n_cores,
        n_cores_total=n_cores,
        flags=frozenset(name.rpartition(".")[2] for name in present) or None,
        memory_bytes=int(said["hw.memsize"]) if "hw.memsize" in said else None,
        cache_bytes=next((size for name in MAC_CACHES if (size := int(said.get(name, 0)))), None),
        power=names[source[1]] if source else "unknown",
    )


def _flags(cpuinfo: str) -> frozenset[str] | None:
    """The instructions that every core has: big and little cores may differ."""
    lines = re.findall(r"^(?:flags|Features)\s*:(.*)$", cpuinfo, re.MULTILINE)
    return frozenset.intersection(*(frozenset(line.split()) for line in lines)) if lines else None


def _core_limits(root: Path) -> Iterator[int]:
    """How many cores this process may use by each rule that limits it."""
    allowed = re.search(r"^Cpus_allowed_list:\s*(\S+)", _text(root / "proc/self/status") or "", re.MULTILINE)
    if allowed:
        ends = (part.partition("-") for part in allowed[1].split(","))
        yield sum(int(last or first) - int(first) + 1 for first, _, last in ends)
    for quota, period in _quotas(root):
        yield max(1, int(quota / period))  # 1.5 cores' worth of time is one thread that never waits
    yield sys.maxsize


def _quotas(root: Path) -> Iterator[tuple[float, float]]:
    """(processor time allowed, per so much time) of each control group around this process, versions 2 and 1."""
    mount = root / "sys/fs/cgroup"
    own = re.search(r"^0::/(.*)$", _text(root / "proc/self/cgroup") or "", re.MULTILINE)
    group = mount / (own[1] if own else "")
    for folder in (group, *group.parents):
        words = (_text(folder / "cpu.max") or "max").split()
        if folder.is_relative_to(mount) and words[0] != "max":
            yield float(words[0]), float(words[1])
    quota, period = (_number(mount / "cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    if quota is not None and period is not None and quota > 0:
        yield quota, period


def _memory_bytes(root: Path) -> int | None:
    total = re.search(r"^MemTotal:\s*(\d+) kB", _text(root / "proc/meminfo") or "", re.MULTILINE)
    return int(total[1]) * 1024 if total else None


def _cache_bytes(root: Path) -> int | None:
    """The last cache before the memory; one for instructions alone does not count."""
    sizes = {}
    for folder in (root / "sys/devices/system/cpu/cpu0/cache").glob("index*"):
        level, size = _number(folder / "level"), re.fullmatch(r"([1-9]\d*)K", _text(folder / "size") or "")
        if level and size and _text(folder / "type") in ("Data", "Unified"):
            sizes[level] = int(size[1]) * 1024
    return sizes[max(sizes)] if sizes else None


def _power(root: Path) -> Power:
    """A battery that is being emptied, or a plug. Batteries of a mouse or a headset (scope Device) do not count."""
    folders = [folder for folder in (root / "sys/class/power_supply").glob("*") if _text(folder / "scope") != "Device"]
    batteries = {_text(folder / "status") for folder in folders if _text(folder / "type") == "Battery"}
    plugs = {_text(folder / "online") for folder in folders if _text(folder / "type") in ("Mains", "USB")}
    if "Discharging" in batteries:
        return "battery"
    if "1" in plugs or batteries & {"Charging", "Full", "Not charging"}:
        return "mains"
    return "battery" if batteries and plugs == {"0"} else "unknown"


def _throttled(root: Path) -> int | None:
    files = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/*_throttle_count")
    return max((count for file in files if (count := _number(file)) is not None), default=None)


def _torch_flags() -> frozenset[str] | None:
    import torch

    tell = getattr(torch.cpu, "get_capabilities", None)  # not every torch that efflab runs with has it
    return frozenset(name for name, value in tell().items() if value is True) if tell else None


def _text(file: Path) -> str | None:
    """What the file holds, without the spaces around; None if it cannot be read."""
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _number(file: Path) -> int | None:
    text = _text(file)
    return int(text) if text and re.fullmatch(r"-?\d+", text) else None


def _output(*command: str) -> str:
    """What a program of the system prints; nothing if it is not there or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return ""

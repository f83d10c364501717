"""On which machine was this measured? The facts without which a speed says nothing.

int8 is fast where the processor has instructions for it and may be slow where it has not; a laptop on battery or one
that is too hot runs slower than itself; a container may use fewer cores than it sees. So a figure with a speed in it
names its machine: `describe_machine().sentence`.

Reference: Intel, Intel 64 and IA-32 architectures software developer's manual (AVX2, AVX-512, VNNI, AMX); Arm,
Architecture reference manual for A-profile (NEON, dot product, I8MM, SVE).

Where we simplify: one line for one processor; cores of two kinds (performance and efficiency) count alike. At work:
`lscpu`, and the benchmark's own log of the clock frequency.
"""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from efflab.measure.clock import smallest_step
from efflab.measure.system import Power, Reading, read_system

X86 = {
    "AVX2": {"avx2", "avx2_0"},
    "AVX-512": {"avx512f", "avx512_f"},
    "VNNI": {"avx512_vnni", "avx_vnni", "avx512vnni"},
    "BF16": {"avx512_bf16", "amx_bf16"},
    "AMX": {"amx_int8", "amx_tile"},
}
"""The instruction sets that decide how fast a network runs on Intel and AMD, and how systems spell them."""
ARM = {
    "NEON": {"asimd", "neon", "AdvSIMD"},
    "dot product": {"asimddp", "dot", "FEAT_DotProd"},
    "I8MM": {"i8mm", "FEAT_I8MM"},
    "BF16": {"bf16", "FEAT_BF16"},
    "SVE": {"sve"},
}
"""The same on Arm."""
RUNTIMES = {"ONNX Runtime": "onnxruntime", "torch": "torch"}
"""What executes networks here, and the package it comes in."""
UNKNOWN = "unknown: the system does not say"


class Fact(NamedTuple):
    """One line about the machine; `badge` says where it comes from, and is empty where nothing is known."""

    label: str
    text: str
    badge: str


@dataclass(frozen=True)
class Machine:
    """The machine, as far as its system tells; None is what it does not tell.

    `n_cores` is what this process may use. `cache_bytes` is the largest cache, the last before the memory; other cores
    and other programs may share it. `instruction_sets` are names of `X86` or `ARM`. `throttled` counts how often heat
    slowed the processor down since its start. `governor` is the system's rule for the clock frequency.
    """

    processor: str
    n_cores: int
    n_cores_total: int
    memory_bytes: int | None
    cache_bytes: int | None
    instruction_sets: tuple[str, ...] | None
    runtimes: tuple[str, ...]
    timer_step_ns: float
    power: Power
    governor: str | None
    max_mhz: float | None
    throttled: int | None

    def has(self, instruction_set: str) -> bool | None:
        """Whether it has the instructions, such as "VNNI"; None if the system does not say.

        Raises:
            ValueError: nobody here knows an instruction set of this name.

        Reference: `X86` and `ARM`.
        """
        if instruction_set not in X86 | ARM:
            raise ValueError(f"instruction_set must be one of {', '.join(X86 | ARM)}, not {instruction_set!r}")
        return None if self.instruction_sets is None else instruction_set in self.instruction_sets

    @property
    def sentence(self) -> str:
        """The machine in one line, for captions; what may have slowed it down stands at the end."""
        parts = [self.processor, f"{self._cores} core{'s' if self.n_cores_total > 1 else ''}"]
        parts += self.instruction_sets or ()
        parts += self.runtimes
        parts += ["on battery"] if self.power == "battery" else []
        parts += [f"slowed down by heat {_times(self.throttled)} since its start"] if self.throttled else []
        return ", ".join(parts)

    @property
    def facts(self) -> tuple[Fact, ...]:
        """All that is known, as label, text and badge, for a table."""
        memory = None if self.memory_bytes is None else f"{self.memory_bytes / 1e9:.1f} GB"
        cache = None if self.cache_bytes is None else f"{self.cache_bytes / 1e6:.3g} MB"
        heat = None if self.throttled is None else f"{_times(self.throttled)} since its start"
        return (
            _fact("Processor", self.processor),
            _fact("Cores that may be used", self._cores),
            _fact("Instruction sets", self._instructions),
            _fact("Memory", memory),
            _fact("Largest cache", cache),
            _fact("Runtimes", ", ".join(self.runtimes) or "none is installed"),
            _fact("Smallest step of the timer", f"{self.timer_step_ns:.0f} ns", "measured"),
            _fact("Power source", None if self.power == "unknown" else self.power),
            _fact("Clock", self._clock),
            _fact("Slowed down by heat", heat),
        )

    @property
    def _cores(self) -> str:
        return str(self.n_cores) + (f" of {self.n_cores_total}" if self.n_cores < self.n_cores_total else "")

    @property
    def _instructions(self) -> str | None:
        if self.instruction_sets is None:
            return None
        missing = [name for name in _family(self.instruction_sets) if name not in self.instruction_sets]
        found = ", ".join(self.instruction_sets) or "none of those that matter here"
        return found + (f"; not {', '.join(missing)}" if missing else "")

    @property
    def _clock(self) -> str | None:
        limit = f"at most {self.max_mhz:.0f} MHz" if self.max_mhz else ""
        rule = f"rule {self.governor}" if self.governor else ""
        return ", ".join(part for part in (limit, rule) if part) or None


def describe_machine(root: Path = Path("/")) -> Machine:
    """The machine on which this runs; with another `root`, the one whose Linux files lie below it.

    Nothing is loaded but on Windows torch, and nothing is sent.
    """
    said = read_system(root)
    return Machine(
        processor=said.processor,
        n_cores=said.n_cores,
        n_cores_total=said.n_cores_total,
        memory_bytes=said.memory_bytes,
        cache_bytes=said.cache_bytes,
        instruction_sets=_instruction_sets(said),
        runtimes=tuple(f"{name} {found}" for name, package in RUNTIMES.items() if (found := _version(package))),
        timer_step_ns=smallest_step() * 1e9,
        power=said.power,
        governor=said.governor,
        max_mhz=said.max_mhz,
        throttled=said.throttled,
    )


def _instruction_sets(said: Reading) -> tuple[str, ...] | None:
    if said.flags is None:
        return None
    family = ARM if said.flags & ARM["NEON"] else X86
    return tuple(name for name, spellings in family.items() if said.flags & spellings)


def _family(names: tuple[str, ...]) -> dict[str, set[str]]:
    return ARM if "NEON" in names else X86


def _version(package: str) -> str | None:
    """From the package's own label: loading ONNX Runtime only to ask it could make it report its use."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _fact(label: str, text: str | None, badge: str = "read from the system") -> Fact:
    return Fact(label, UNKNOWN, "") if text is None else Fact(label, text, badge)


def _times(count: int | None) -> str:
    return {0: "never", 1: "once"}.get(count or 0, f"{count} times")

"""The machine report: what Linux, macOS and this machine say, and what they do not say."""

import dataclasses
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest
import torch

from efflab.measure import machine as machine_module
from efflab.measure import system
from efflab.measure.machine import ARM, X86, Machine, describe_machine
from efflab.measure.system import read_mac

LAPTOP_FLAGS = "fpu sse2 avx f16c fma avx2 bmi2 aes"
SERVER_FLAGS = "avx2 avx512f avx512bw avx512_vnni avx512_bf16 amx_bf16 amx_tile amx_int8"
ARM_FEATURES = "fp asimd evtstrm aes crc32 atomics fphp asimdhp asimdrdm lrcpc asimddp sha512 i8mm bf16"


def cpuinfo(*cores: str, key: str = "flags", name: str = "") -> str:
    """What /proc/cpuinfo holds for cores with these flags."""
    model = f"model name\t: {name}\n" if name else ""
    return "\n".join(f"processor\t: {i}\n{model}{key}\t\t: {flags}\n" for i, flags in enumerate(cores))


def tree(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def supply(name: str, **files: str) -> dict[str, str]:
    return {f"sys/class/power_supply/{name}/{file}": f"{text}\n" for file, text in files.items()}


def laptop(folder: Path, **more: str) -> Machine:
    """An Intel laptop with AVX2 and no more, on battery."""
    cpu = "sys/devices/system/cpu"
    files = {
        "proc/cpuinfo": cpuinfo(*[LAPTOP_FLAGS] * 4, name="Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz"),
        "proc/meminfo": "MemTotal:        8000000 kB\nMemFree:  1 kB\n",
        "proc/self/status": "Name:\tpython\nCpus_allowed:\tf\nCpus_allowed_list:\t0-3\n",
        f"{cpu}/cpu0/cpufreq/scaling_governor": "powersave\n",
        f"{cpu}/cpu0/cpufreq/cpuinfo_max_freq": "3400000\n",
        f"{cpu}/cpu0/thermal_throttle/core_throttle_count": "2\n",
        f"{cpu}/cpu1/thermal_throttle/core_throttle_count": "0\n",
        f"{cpu}/cpu1/thermal_throttle/package_throttle_count": "7\n",
        **supply("AC", type="Mains", online="0"),
        **supply("BAT0", type="Battery", status="Discharging"),
    }
    return describe_machine(tree(folder, files | more))


def with_power(folder: Path, *supplies: dict[str, str]) -> str:
    files = {"proc/cpuinfo": cpuinfo("avx2")}
    for one in supplies:
        files |= one
    return describe_machine(tree(folder, files)).power


# Linux


def test_a_laptop_on_battery_is_read_from_its_files(tmp_path: Path) -> None:
    found = laptop(tmp_path)

    assert found.processor == "Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz"
    assert (found.n_cores, found.n_cores_total, found.memory_bytes) == (4, 4, 8_192_000_000)
    assert found.instruction_sets == ("AVX2",)
    assert (found.power, found.governor, found.max_mhz, found.throttled) == ("battery", "powersave", 3400, 7)


def test_the_sentence_names_what_may_have_slowed_it_down(tmp_path: Path) -> None:
    sentence = laptop(tmp_path).sentence

    assert sentence.startswith("Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz, 4 cores, AVX2, ONNX Runtime ")
    assert sentence.endswith(", on battery, slowed down by heat 7 times since its start")


def test_a_server_has_vnni_and_amx(tmp_path: Path) -> None:
    found = describe_machine(tree(tmp_path, {"proc/cpuinfo": cpuinfo(SERVER_FLAGS, SERVER_FLAGS)}))

    assert found.instruction_sets == ("AVX2", "AVX-512", "VNNI", "BF16", "AMX")
    assert found.has("VNNI") is found.has("AMX") is True
    assert found.has("I8MM") is False


def test_vnni_comes_without_avx_512_too(tmp_path: Path) -> None:
    found = describe_machine(tree(tmp_path, {"proc/cpuinfo": cpuinfo("avx2 avx_vnni")}))

    assert found.instruction_sets == ("AVX2", "VNNI")


def test_on_arm_other_names_are_read_and_missing_ones_are_told(tmp_path: Path) -> None:
    found = describe_machine(tree(tmp_path, {"proc/cpuinfo": cpuinfo(ARM_FEATURES, key="Features")}))

    assert found.instruction_sets == ("NEON", "dot product", "I8MM", "BF16")
    assert dict(fact[:2] for fact in found.facts)["Instruction sets"] == "NEON, dot product, I8MM, BF16; not SVE"


def test_an_instruction_that_only_the_big_cores_have_does_not_count(tmp_path: Path) -> None:
    files = {"proc/cpuinfo": cpuinfo("asimd asimddp sve", "asimd asimddp", key="Features")}

    assert describe_machine(tree(tmp_path, files)).has("SVE") is False


@pytest.mark.parametrize(
    ("limits", "n_cores"),
    [
        ({}, 8),
        ({"proc/self/status": "Cpus_allowed_list:\t0-1,4,6-7\n"}, 5),
        ({"sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
        ({"sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1),
        ({"sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
        ({"sys/fs/cgroup/cpu.max": "max 100000\n"}, 8),
        ({"sys/fs/cgroup/cpu.max": "900000 100000\n"}, 8),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, 3),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, 8),
        (
            {
                "proc/self/cgroup": "0::/pods/one\n",
                "sys/fs/cgroup/pods/cpu.max": "300000 100000\n",
                "sys/fs/cgroup/pods/one/cpu.max": "max 100000\n",
            },
            3,
        ),
    ],
)
def test_cores_are_those_that_every_limit_leaves(limits: dict[str, str], n_cores: int, tmp_path: Path) -> None:
    found = describe_machine(tree(tmp_path, {"proc/cpuinfo": cpuinfo(*["avx2"] * 8, name="A")} | limits))

    assert (found.n_cores, found.n_cores_total) == (n_cores, 8)
    assert found.sentence.startswith("A, 8 cores" if n_cores == 8 else f"A, {n_cores} of 8 cores")


PLUG_IN, PLUG_OUT = supply("AC", type="Mains", online="1"), supply("AC", type="Mains", online="0")


@pytest.mark.parametrize(
    ("supplies", "power"),
    [
        ((), "unknown"),
        ((PLUG_IN,), "mains"),
        ((PLUG_OUT,), "unknown"),
        ((PLUG_OUT, supply("BAT0", type="Battery", status="Unknown")), "battery"),
        ((PLUG_IN, supply("BAT0", type="Battery", status="Discharging")), "battery"),
        ((PLUG_IN, supply("BAT0", type="Battery", status="Full")), "mains"),
        ((supply("BAT0", type="Battery", status="Charging"),), "mains"),
        ((supply("usb", type="USB", online="1"),), "mains"),
        ((PLUG_IN, supply("mouse", type="Battery", status="Discharging", scope="Device")), "mains"),
    ],
)
def test_the_power_source_is_told_from_plugs_and_batteries(
    supplies: tuple[dict[str, str], ...], power: str, tmp_path: Path
) -> None:
    assert with_power(tmp_path, *supplies) == power


def test_heat_that_never_slowed_it_down_is_not_the_same_as_not_knowing(tmp_path: Path) -> None:
    count = "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"
    never = describe_machine(tree(tmp_path / "a", {"proc/cpuinfo": cpuinfo("avx2"), count: "0"}))
    unknown = describe_machine(tree(tmp_path / "b", {"proc/cpuinfo": cpuinfo("avx2")}))

    assert (never.throttled, unknown.throttled) == (0, None)
    assert never.facts[-1] == ("Slowed down by heat", "never since its start", "read from the system")
    assert unknown.facts[-1] == ("Slowed down by heat", "unknown: the system does not say", "")


def test_a_system_that_says_nothing_is_unknown_and_not_without(tmp_path: Path) -> None:
    found = describe_machine(tmp_path)

    assert (found.n_cores, found.memory_bytes, found.instruction_sets, found.power) == (1, None, None, "unknown")
    assert found.cache_bytes is None
    assert found.has("VNNI") is None
    assert {fact.text for fact in found.facts if not fact.badge} == {"unknown: the system does not say"}
    assert found.processor


def test_an_instruction_set_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must be one of AVX2, .*VNNI.*, SVE, not 'vnni'"):
        laptop(tmp_path).has("vnni")


def test_runtimes_that_are_not_installed_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module, "RUNTIMES", {"torch": "torch", "Other": "no-such-package"})

    assert laptop(tmp_path).runtimes == (f"torch {version('torch')}",)


@pytest.mark.parametrize(
    ("caches", "cache_bytes"),
    [
        ((("1", "Data", "32K"), ("1", "Instruction", "64K"), ("2", "Unified", "512K")), 524_288),
        ((("3", "Unified", "32768K"), ("2", "Unified", "512K")), 33_554_432),
        ((("3", "Unified", "6144K"), ("2", "Unified", "8192K")), 6_291_456),  # the last one, though it is smaller
        ((("1", "Instruction", "64K"),), None),
        ((("1", "Data", "32K"), ("2", "Unified", "")), 32_768),
        ((("1", "Data", "32K"), ("2", "Unified", "0K")), 32_768),
        ((("1", "Data", "32K"), ("", "Unified", "512K")), 32_768),
        ((), None),
    ],
)
def test_the_largest_cache_is_the_last_one_that_holds_data(
    caches: tuple[tuple[str, str, str], ...], cache_bytes: int | None, tmp_path: Path
) -> None:
    files = {"proc/cpuinfo": cpuinfo("avx2")}
    for i, values in enumerate(caches):
        folder = f"sys/devices/system/cpu/cpu0/cache/index{i}"
        files |= {
            f"{folder}/{name}": f"{value}\n" for name, value in zip(("level", "type", "size"), values, strict=True)
        }

    assert describe_machine(tree(tmp_path, files)).cache_bytes == cache_bytes


@pytest.mark.parametrize(
    ("cache_bytes", "fact"),
    [
        (33_554_432, ("Largest cache", "33.6 MB", "read from the system")),
        (32_768, ("Largest cache", "0.0328 MB", "read from the system")),
        (None, ("Largest cache", "unknown: the system does not say", "")),
    ],
)
def test_the_largest_cache_is_a_fact(cache_bytes: int | None, fact: tuple[str, str, str]) -> None:
    assert dataclasses.replace(describe_machine(), cache_bytes=cache_bytes).facts[4] == fact


# macOS


@pytest.mark.parametrize(
    ("sysctl", "cache_bytes"),
    [
        ("hw.l2cachesize: 262144\nhw.l3cachesize: 6291456\n", 6_291_456),
        ("hw.l2cachesize: 4194304\nhw.perflevel0.l2cachesize: 12582912\n", 12_582_912),
        ("hw.l2cachesize: 3145728\nhw.l3cachesize: 0\n", 3_145_728),
        ("hw.l1dcachesize: 32768\n", None),
    ],
)
def test_the_largest_cache_of_a_mac_is_its_third_or_that_of_the_fast_cores(
    sysctl: str, cache_bytes: int | None
) -> None:
    assert read_mac(sysctl, "").cache_bytes == cache_bytes


def test_a_mac_is_read_from_what_sysctl_and_pmset_print() -> None:
    sysctl = (
        "hw.memsize: 17179869184\nhw.logicalcpu: 8\nmachdep.cpu.brand_string: Apple M1\nkern.hostname: \n"
        "hw.optional.neon: 1\nhw.optional.arm.FEAT_DotProd: 1\nhw.optional.arm.FEAT_I8MM: 0\n"
        "hw.optional.arm.FEAT_BF16: 0\n"
    )
    found = read_mac(sysctl, "Now drawing from 'Battery Power'\n -InternalBattery-0 (id=1) 90%; discharging\n")

    assert (found.processor, found.n_cores, found.memory_bytes, found.power) == ("Apple M1", 8, 2**34, "battery")
    assert machine_module._instruction_sets(found) == ("NEON", "dot product")


def test_an_older_mac_is_read_too() -> None:
    sysctl = "hw.optional.avx2_0: 1\nhw.optional.avx512f: 1\nhw.optional.avx512vnni: 1\n"
    found = read_mac(sysctl, "Now drawing from 'AC Power'\n")

    assert found.power == "mains"
    assert machine_module._instruction_sets(found) == ("AVX2", "AVX-512", "VNNI")


def test_a_mac_whose_tools_are_missing_is_unknown() -> None:
    found = read_mac(system._output("no-such-tool"), "")

    assert (found.flags, found.memory_bytes, found.power) == (None, None, "unknown")
    assert found.n_cores == os.cpu_count()


# Other systems, and this machine


def capable(*names: str) -> set[str]:
    """The instruction sets of this machine by torch's own detection."""
    said = torch.cpu.get_capabilities()
    return {name for name in names if said.get(name)}


def test_instruction_sets_agree_with_what_torch_detects() -> None:
    found = describe_machine()
    family = X86 if platform.machine().lower() in ("x86_64", "amd64") else ARM
    expected = {name for name, spellings in family.items() if capable(*spellings)}

    assert expected
    assert set(found.instruction_sets or ()) == expected
    best = {"AVX512": "AVX-512", "AVX2": "AVX2"}.get(torch.backends.cpu.get_cpu_capability())
    assert best is None or found.has(best)


def test_where_there_are_no_files_torch_is_asked() -> None:
    flags = system._torch_flags()

    assert machine_module._instruction_sets(system.Reading("", 1, 1, flags)) == describe_machine().instruction_sets


def test_cores_and_memory_agree_with_python_and_psutil() -> None:
    found = describe_machine()

    assert found.n_cores_total == os.cpu_count()
    assert 1 <= found.n_cores <= len(psutil.Process().cpu_affinity() if sys.platform != "darwin" else range(10**6))
    assert found.memory_bytes in (None, psutil.virtual_memory().total)
    assert 0 < found.timer_step_ns < 1e6
    assert found.runtimes == (f"ONNX Runtime {version('onnxruntime')}", f"torch {version('torch')}")


@pytest.mark.skipif(not shutil.which("lscpu"), reason="there is no lscpu to compare with: install util-linux on Linux")
def test_the_largest_cache_agrees_with_lscpu() -> None:
    command = ("lscpu", "--bytes", "--caches=LEVEL,TYPE,ONE-SIZE")
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[1:]
    sizes = {int(level): int(size) for level, kind, size in map(str.split, lines) if kind != "Instruction"}

    assert describe_machine().cache_bytes == (sizes[max(sizes)] if sizes else None)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux lets a test give cores away")
def test_a_core_given_away_is_not_counted(tmp_path: Path) -> None:
    mine = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(mine)})
        assert describe_machine().n_cores == 1
    finally:
        os.sched_setaffinity(0, mine)


def test_only_the_timer_is_measured() -> None:
    badges = {fact.label: fact.badge for fact in describe_machine().facts}

    assert [label for label, badge in badges.items() if badge == "measured"] == ["Smallest step of the timer"]

"""Ten thousand runs in a journal of twelve thousand entries: read, list, choose one network's, find its front.

The entries are made up; that makes no difference to the time. Goal: 200 ms for all of it.
"""

import json
import random
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

from _report import timed, versions

from efflab import prune_filters, step, to_json
from efflab.journal import Journal, store
from efflab.scoreboard import Run, front, newest_of_each, runs_of, select

N_RUNS, N_OTHERS, N_TIMES, GOAL_MS = 10_000, 2_000, 15, 200


def fill(path: Path) -> Journal:
    """A journal with so many entries, of four networks at two batches."""
    pick = random.Random(0)
    rows = [_row(pick) for _ in range(N_RUNS)]
    rows += [("2025-03-01T18:20:05.123Z", "03", "answer", "nnz", '"kernel"')] * N_OTHERS
    store.insert(path, rows)
    return Journal(path)


def _row(pick: random.Random) -> tuple[str, str, str, str, str]:
    score, n_bytes = round(pick.random(), 4), pick.randrange(1_000, 500_000)
    value = {
        "network": pick.choice(("mlp-digits", "cnn-digits", "lenet5-scattered", "cnn-scattered")),
        "data": "digits",
        "recipe": to_json((step(prune_filters, ratio=pick.randrange(1, 20) / 20),)),
        "seed": 0,
        "teacher": "",
        "score": score,
        "low": round(score * 0.98, 4),
        "high": round(min(1.0, score * 1.01), 4),
        "packed_bytes": n_bytes,
        "macs": n_bytes * 20,
        "file_bytes": n_bytes + 2_000,
        "batch": pick.choice((1, 64)),
        "ms": round(pick.random(), 4),
        "base_ms": 1.0,
        "verdict": "2.0x faster",
    }
    return "2025-03-01T18:20:05.123Z", "03", "run", "prune_filters", json.dumps(value)


def chosen(runs: tuple[Run, ...]) -> tuple[Run, ...]:
    """Those of one network at one batch, repeats only once."""
    return newest_of_each(select(runs, network="cnn-scattered", batch=1))


def main() -> None:
    """The median of each part, and of all together."""
    parts: dict[str, list[float]] = {"read the journal": [], "list the runs": [], "choose": [], "find the front": []}
    processor: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        journal = fill(Path(folder) / "journal.sqlite")
        for _ in range(N_TIMES):
            begin = time.process_time()
            entries, read_s = timed(partial(journal.entries, kind="run"))
            (runs, unread), list_s = timed(partial(runs_of, entries))
            some, choose_s = timed(partial(chosen, runs))
            best, front_s = timed(partial(front, some, "ms"))
            processor.append(1000 * (time.process_time() - begin))
            assert (len(runs), len(unread)) == (N_RUNS, 0)
            assert 0 < len(best) < len(some) < len(runs)
            for name, seconds in zip(parts, (read_s, list_s, choose_s, front_s), strict=True):
                parts[name].append(1000 * seconds)
    whole = statistics.median(map(sum, zip(*parts.values(), strict=True)))
    print(f"\n{N_RUNS:,} runs among {N_RUNS + N_OTHERS:,} entries, median of {N_TIMES}, ms (measured)")
    for name, times in parts.items():
        print(f"  {name:<52} {statistics.median(times):10.1f}")
    verdict = "reached" if whole <= GOAL_MS else "NOT reached"
    print(f"  {'all of it':<52} {whole:10.1f} (goal: at most {GOAL_MS}) {verdict}")
    print(f"  {'of it, time of the processor':<52} {statistics.median(processor):10.1f}")
    versions()


if __name__ == "__main__":
    main()

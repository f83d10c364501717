"""A sweep of recipes: the same bits wherever a point runs, each point kept once, and nothing lost that was shown."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import cloudpickle
import distributed
import joblib
import numpy as np
import pandas as pd
import pytest
import support
import torch

from efflab import Lab, fine_tune, prune_weights, quantize_weights, share_weights, start_student, step, technique
from efflab.lab import sweeping
from efflab.lab.sweep_workers import bytes_of, digest_of
from efflab.lab.swept import SweepError, points_table
from efflab.recipe import recipe_from
from efflab.training import Progress

CUT, TUNE = step(prune_weights, sparsity=0.5), step(fine_tune, epochs=1)
RECIPES = [(), (CUT,), (CUT, TUNE), (TUNE, step(quantize_weights, bits=4)), (step(start_student, width=4), TUNE)]
SEEDS = (0, 3)
posix_only = pytest.mark.skipif(os.name != "posix", reason="needs fork and SIGKILL: run the tests on Linux or macOS")


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(support.tiny_cnn(), support.tiny_data(), name="tiny-cnn")


@pytest.fixture(scope="module")
def alone(lab) -> dict[tuple[object, int], tuple[object, ...]]:
    """Each point, previewed one by one on labs of their own with one thread: score, bytes, and all numbers."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    found: dict[tuple[object, int], tuple[object, ...]] = {}
    for seed in SEEDS:
        own = Lab(support.tiny_cnn(), support.tiny_data(), seed=seed)
        for recipe in RECIPES:
            preview = own.preview(recipe)
            state = {name: one for name, one in own.build(recipe).state_dict().items() if torch.is_tensor(one)}
            numbers = [one for parts in [bytes_of(state)] for one in parts]
            found[recipe, seed] = (preview.evaluation.value, preview.size.packed_bytes, numbers)
    torch.set_num_threads(before)
    return found


def integrity(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


def rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM point").fetchone()[0])


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_every_point_has_the_bits_of_its_preview_whoever_computes_it(lab, alone, n_jobs):
    found = list(lab.sweep_recipes(reversed(RECIPES), seeds=SEEDS, n_jobs=n_jobs))
    assert {(one.recipe, one.seed) for one in found} == set(alone)
    assert len(found) == len(alone)
    digests = {}
    for one in found:
        score, packed, numbers = alone[one.recipe, one.seed]
        assert (one.judged.score, one.judged.packed_bytes, one.reason) == (score, packed, "")
        digests[one.recipe, one.seed] = (one.judged.digest, digest_of(numbers))
    assert len({digest for digest, _ in digests.values()}) == len({digest for _, digest in digests.values()})


def test_workers_and_this_process_make_networks_of_the_same_numbers(lab):
    here, there = (
        {(one.recipe, one.seed): one for one in lab.sweep_recipes(RECIPES, seeds=SEEDS, n_jobs=n)} for n in (None, 2)
    )
    assert here == there


def test_the_callers_number_of_threads_stays(lab):
    before = torch.get_num_threads()
    list(lab.sweep_recipes([(CUT,)]))
    assert torch.get_num_threads() == before


def test_a_refused_recipe_is_yielded_with_its_sentence_and_the_others_go_on(lab, tmp_path):
    bad = (step(prune_weights, sparsity={"conv9": 0.5}),)
    with pytest.raises(ValueError, match="conv9") as refused:
        lab.preview(bad)
    found = {one.recipe: one for one in lab.sweep_recipes([bad, (CUT,)], keep=tmp_path / "sweep.sqlite")}
    assert (found[bad].judged, found[bad].reason) == (None, str(refused.value))
    assert found[(CUT,)].judged is not None
    again = {one.recipe: one for one in lab.sweep_recipes([bad, (CUT,)], keep=tmp_path / "sweep.sqlite")}
    assert again == found


def test_what_is_kept_is_not_computed_again_and_comes_first(lab, tmp_path, monkeypatch):
    path = tmp_path / "sweep.sqlite"
    first = list(lab.sweep_recipes(RECIPES[:2], keep=path))
    asked = []
    monkeypatch.setattr(sweeping, "judge", lambda own, recipe, progress: asked.append(recipe()) or first_answer)
    first_answer = sweeping.Answer(first[0].judged)
    both = list(lab.sweep_recipes([*RECIPES[2:3], *RECIPES[:2]], keep=path))
    assert asked == [RECIPES[2]]
    assert [one.recipe for one in both] == [*RECIPES[:2], RECIPES[2]]
    assert both[:2] == first
    assert rows(path) == 3


def test_the_same_recipe_twice_is_one_point(lab, tmp_path):
    path = tmp_path / "sweep.sqlite"
    assert len(list(lab.sweep_recipes([(CUT,), (CUT,)], seeds=(1, 2), keep=path))) == 2
    assert rows(path) == 2


def test_two_sweeps_of_one_file_keep_each_point_once(lab, tmp_path):
    path = tmp_path / "sweep.sqlite"
    one, other = (lab.sweep_recipes(RECIPES[:3], keep=path) for _ in range(2))
    pairs = list(zip(one, other, strict=True))  # in turns, both computing
    assert all(mine == theirs for mine, theirs in pairs)
    assert rows(path) == 3


def test_a_file_of_another_base_of_something_else_or_damaged_is_refused_and_left_alone(lab, tmp_path):
    path = tmp_path / "sweep.sqlite"
    list(lab.sweep_recipes([(CUT,)], keep=path))
    other = Lab(support.tiny_cnn(seed=1), support.tiny_data(), name="another")
    with pytest.raises(SweepError, match=r"holds points of tiny-cnn, whose weights, data or teacher differ from those"):
        list(other.sweep_recipes([(CUT,)], keep=path))
    foreign = tmp_path / "foreign.sqlite"
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE mine (x)")
    text = tmp_path / "notes.txt"
    text.write_text("my notes " * 100)
    before = [one.read_bytes() for one in (foreign, text)]
    with pytest.raises(SweepError, match="is no file of a sweep and was left as it is"):
        list(lab.sweep_recipes([(CUT,)], keep=foreign))
    with pytest.raises(SweepError, match="is damaged or no file of a sweep"):
        list(lab.sweep_recipes([(CUT,)], keep=text))
    assert [one.read_bytes() for one in (foreign, text)] == before
    with pytest.raises(SweepError, match=r"is a folder: name a file, such as .*sweep\.sqlite"):
        list(lab.sweep_recipes([(CUT,)], keep=tmp_path))
    with pytest.raises(SweepError, match="cannot be read or written"):
        list(lab.sweep_recipes([(CUT,)], keep=tmp_path / "no folder" / "sweep.sqlite"))


@pytest.mark.parametrize(
    ("recipes", "settings", "error", "told"),
    [
        ([], {}, ValueError, "recipes must hold at least one recipe"),
        ([CUT], {}, TypeError, "a recipe is a tuple of steps"),
        ([(CUT,)], {"seeds": (1, 1)}, ValueError, "seeds must be different whole numbers"),
        ([(CUT,)], {"seeds": (-1,)}, ValueError, "seeds must be different whole numbers from 0 on"),
        ([(CUT,)], {"seeds": (0.5,)}, TypeError, "seeds must be whole numbers, not 0.5"),
        ([(CUT,)], {"seeds": 5}, TypeError, r"seeds must be a list of whole numbers, such as range\(3\), not 5"),
        ([(CUT,)], {"seeds": (one for one in (0, 1))}, TypeError, "seeds must be a list of whole numbers"),
        ([(CUT,)], {"n_jobs": 0}, ValueError, "n_jobs must be a number of workers, -1 for all cores, or None, not 0"),
        ([(CUT,)], {"n_jobs": "two"}, ValueError, "n_jobs must be a number of workers.* not 'two'"),
        ([(CUT,)], {"seeds": range(200_000)}, ValueError, "a sweep may have 100,000 points; this one has more"),
    ],
)
def test_bad_input_is_one_sentence_at_the_call(lab, recipes, settings, error, told):
    with pytest.raises(error, match=told):
        lab.sweep_recipes(recipes, **settings)


def test_stop_ends_the_sweep_and_drops_a_training_that_was_cut_short(lab, tmp_path):
    path, progress = tmp_path / "sweep.sqlite", Progress()
    long = (step(fine_tune, epochs=30),)
    fresh = Lab(support.tiny_cnn(), support.tiny_data(), name="tiny-cnn")
    progress.on_batch = lambda done: progress.stop() if done > 0.6 else None
    found = list(fresh.sweep_recipes([(CUT,), long, (CUT, TUNE)], keep=path, progress=progress))
    assert len(found) < 3
    assert long not in [one.recipe for one in found]
    assert rows(path) == len(found)
    whole = {one.recipe: one for one in fresh.sweep_recipes([(CUT,), long, (CUT, TUNE)], keep=path)}
    assert whole[long].judged.score == Lab(support.tiny_cnn(), support.tiny_data()).preview(long).evaluation.value


def test_the_progress_goes_from_nothing_to_the_end(lab):
    seen: list[float] = []
    fresh = Lab(support.tiny_cnn(), support.tiny_data())
    list(fresh.sweep_recipes([(CUT,), (TUNE,)], seeds=SEEDS, progress=Progress(on_batch=seen.append)))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) > 4  # batches of the trainings, too


def test_a_worker_that_is_ended_from_outside_is_told_and_what_was_kept_stays(lab, tmp_path):
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # as of a notebook, whose techniques have no module

    @technique
    def die(model):
        """End the worker as the system does when the memory is full."""
        import os

        os.kill(os.getpid(), signal.SIGKILL)

    path = tmp_path / "sweep.sqlite"
    list(lab.sweep_recipes([(CUT,)], keep=path))
    with pytest.raises(SweepError, match=r"a worker was ended from outside.* the same call goes on from there"):
        list(lab.sweep_recipes([(CUT,), (step(die),), (step(die), CUT)], n_jobs=2, keep=path))
    assert (rows(path), integrity(path)) == (1, "ok")
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def test_a_mistake_in_a_technique_is_told_with_its_trace(lab):
    @technique
    def slip(model):
        """Divide by nothing."""
        return 1 / 0

    with pytest.raises(SweepError, match=r"(?s)slip\(\),\) with seed 0 failed.*ZeroDivisionError"):
        list(lab.sweep_recipes([(step(slip),)]))


def test_the_table_has_a_line_for_each_point_that_can_be_read_back(lab):
    table = points_table(lab.sweep_recipes(RECIPES[:3], seeds=SEEDS))
    assert list(table.columns) == [
        *("recipe", "seed", "score", "low", "high", "n", "n_nonzero", "packed_bytes", "macs", "reason")
    ]
    assert {recipe_from(line) for line in table["recipe"]} == set(RECIPES[:3])
    assert (table["macs"] == lab.macs(())).all()


# Several knobs


def test_several_knobs_and_seeds_are_a_grid_with_a_column_each(lab):
    table = lab.sweep(prune_weights, {"sparsity": (0.9, 0.5), "criterion": None}, seeds=(0, 1), then=(TUNE,))
    assert list(table.columns) == [
        *("sparsity", "criterion", "seed", "score", "low", "high", "n_nonzero", "packed_bytes")
    ]
    assert table["sparsity"].tolist() == [0.9] * 4 + [0.5] * 4
    assert table["criterion"].tolist() == ["magnitude", "magnitude", "random", "random"] * 2
    assert table["seed"].tolist() == [0, 1] * 4
    for row in table.itertuples():
        recipe = (step(prune_weights, sparsity=row.sparsity, criterion=row.criterion), TUNE)
        assert row.score == lab.with_seed(row.seed).preview(recipe).evaluation.value


def test_refused_values_have_a_reason_and_no_score(lab):
    table = lab.sweep(share_weights, "bits", [2, 4], then=(step(prune_weights, sparsity={"conv9": 0.5}),))
    assert table["score"].isna().all()
    assert table["reason"].str.contains("conv9").all()


@pytest.mark.parametrize(
    ("knob", "values", "error", "told"),
    [
        ("bits", None, ValueError, "prune_weights has no knob 'bits'; its knobs are: sparsity, scope, criterion"),
        ({"bits": (2,)}, None, ValueError, "has no knob 'bits'"),
        ({}, None, ValueError, "name at least one knob of prune_weights"),
        ({"sparsity": ()}, None, ValueError, "the values of sparsity must be at least one"),
        ({"sparsity": (0.5,)}, [0.5], TypeError, "values are those of one knob"),
        ({"sparsity": (7.0,)}, None, ValueError, "sparsity"),
        ("sparsity", 0.5, TypeError, r"the values of sparsity must be a list, such as \[0.5\], not 0.5"),
        ("scope", "global", TypeError, r"the values of scope must be a list, such as \['global'\], not 'global'"),
        (None, None, TypeError, "knob must be the name of a knob, or several as {name: values}, not None"),
    ],
)
def test_a_grid_that_is_none_is_one_sentence(lab, knob, values, error, told):
    with pytest.raises(error, match=told):
        lab.sweep(prune_weights, knob, values)


@pytest.mark.parametrize(
    ("technique", "settings", "told"),
    [
        (
            "prune_weights",
            {},
            "a technique is a function such as prune_weights, without quotes or brackets, not 'prune",
        ),
        (prune_weights, {"sparsity": 0.9}, "sparsity moves in this sweep, so it cannot stand still at 0.9 as well"),
        (prune_weights, {"then": CUT}, "a recipe is a tuple of steps, .* not Step"),
    ],
)
def test_what_does_not_belong_into_a_sweep_is_one_sentence(lab, technique, settings, told):
    with pytest.raises(TypeError, match=told):
        lab.sweep(technique, "sparsity", [0.5], **settings)


def test_values_may_be_an_array_of_numpy(lab):
    for one, knob, values in ((prune_weights, "sparsity", [0.2, 0.4]), (share_weights, "bits", [2, 3])):
        pd.testing.assert_frame_equal(
            lab.sweep(one, knob, np.array(values)), lab.sweep(one, knob, values), check_exact=True
        )


# A cluster


def test_a_cluster_is_one_line_away_and_gives_the_same_numbers(lab, tmp_path):
    here = {(one.recipe, one.seed): one for one in lab.sweep_recipes(RECIPES, seeds=SEEDS)}
    options = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    with (
        distributed.LocalCluster(**options, local_directory=str(tmp_path)) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        there = list(lab.sweep_recipes(RECIPES, seeds=SEEDS, keep=tmp_path / "sweep.sqlite"))
    assert {(one.recipe, one.seed): one for one in there} == here
    assert rows(tmp_path / "sweep.sqlite") == len(here)


# Killed

N_POINTS = 120
SWEEP = """
import sys
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
import support
from efflab import Lab, prune_weights, step
lab = Lab(support.tiny_cnn(), support.tiny_data(), name="tiny-cnn")
recipes = [(step(prune_weights, sparsity=i / {n}),) for i in range({n})]
"""
NURSERY = """
import json, os, random, signal
folder, told, known, pick = sys.argv[1], {{}}, {{}}, random.Random(7)
list(lab.sweep_recipes(recipes[:1]))
for turn in range({rounds}):
    path = os.path.join(folder, f"{{turn // 20}}.sqlite")  # some kills fall into the making of the file
    hear, tell = os.pipe()
    process = os.fork()
    if process == 0:
        for one in lab.sweep_recipes(recipes, keep=path):
            os.write(tell, b"%d\\n" % round_of(one))
        os._exit(0)
    os.close(tell)
    wanted = known.get(path, 0) + pick.randrange(8)  # what is kept comes first, and at once
    heard = b""
    while heard.count(b"\\n") < wanted and (more := os.read(hear, 4096)):
        heard += more
    for _ in range(pick.randrange(60000)):
        pass
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    while more := os.read(hear, 4096):
        heard += more
    os.close(hear)
    lines = heard.decode().splitlines(keepends=True)
    known[path] = max(known.get(path, 0), len(lines))
    told.setdefault(path, []).append([int(line) for line in lines if line[-1] == "\\n"])
print(json.dumps(told))
"""
HELPERS = """
def round_of(one):
    return round(one.recipe[0].values["sparsity"] * {n})
"""


@posix_only
@pytest.mark.slow
def test_of_two_hundred_kills_at_random_moments_of_a_sweep_none_loses_a_point_that_was_shown(tmp_path, repository):
    script = (SWEEP + HELPERS + NURSERY).format(tests=str(repository / "tests"), rounds=200, n=N_POINTS)
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=repository)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told) == 10
    lab = Lab(support.tiny_cnn(), support.tiny_data(), name="tiny-cnn")
    whole = [(step(prune_weights, sparsity=i / N_POINTS),) for i in range(N_POINTS)]
    fresh = {one.recipe: one for one in lab.sweep_recipes(whole)}
    for path, rounds in told.items():
        assert integrity(Path(path)) == "ok"
        shown = {i for numbers in rounds for i in numbers}
        with closing(sqlite3.connect(path)) as connection:
            kept = [json.loads(text) for (text,) in connection.execute("SELECT recipe FROM point")]
        there = [round(one["steps"][0]["settings"]["sparsity"] * N_POINTS) for one in kept]
        assert len(there) == len(set(there))
        assert shown <= set(there)
        assert shown
        assert {one.recipe: one for one in lab.sweep_recipes(whole, keep=path)} == fresh  # goes on, and ends the same


@posix_only
@pytest.mark.slow
def test_a_killed_sweep_leaves_no_worker_behind_and_goes_on(tmp_path, repository):
    path = tmp_path / "sweep.sqlite"
    script = SWEEP.format(tests=str(repository / "tests"), n=N_POINTS) + (
        f"for one in lab.sweep_recipes(recipes, n_jobs=2, keep={str(path)!r}):\n"
        "    print(one.judged.digest, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=repository)
    assert process.stdout is not None
    with process.stdout as said:
        shown = [said.readline().strip() for _ in range(20)]
        import psutil

        workers = psutil.Process(process.pid).children(recursive=True)
        assert workers
        process.kill()
        process.wait()
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert alive == []
    with closing(sqlite3.connect(path)) as connection:
        kept = [digest for (digest,) in connection.execute("SELECT digest FROM point")]
    assert set(shown) <= set(kept)
    assert len(kept) < N_POINTS
    lab = Lab(support.tiny_cnn(), support.tiny_data(), name="tiny-cnn")
    whole = [(step(prune_weights, sparsity=i / N_POINTS),) for i in range(N_POINTS)]
    assert len(list(lab.sweep_recipes(whole, keep=path))) == N_POINTS

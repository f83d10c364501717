"""A sweep of trainings with one worker and with two, in turns: the same points, on the same machine.

Each point trains `cnn-digits` for two epochs with another seed. Starting the workers, which import torch, is left out:
they stay for the next sweep. Two workers on two cores would take half of the time if nothing were shared; memory is.
"""

from _report import compare, interleave

from efflab import Lab, fine_tune, step

SEEDS, N_TIMES, GOAL = range(12), 3, 0.65
RECIPE = (step(fine_tune, epochs=2),)


def main() -> None:
    """Compare both; the scores must be equal."""
    lab = Lab.open("cnn-digits")

    def sweep(n_jobs: int) -> list[float]:
        points = lab.sweep_recipes([RECIPE], seeds=SEEDS, n_jobs=n_jobs)
        return [one.judged.score for one in sorted(points, key=lambda one: one.seed) if one.judged]

    alone, both = sweep(1), sweep(2)
    if alone != both or len(alone) != len(SEEDS):
        raise SystemExit("two workers gave other scores than one")

    one, two = interleave(
        lambda: [*Lab.open("cnn-digits").sweep_recipes([RECIPE], seeds=SEEDS, n_jobs=1)],
        lambda: [*Lab.open("cnn-digits").sweep_recipes([RECIPE], seeds=SEEDS, n_jobs=2)],
        N_TIMES,
    )
    rate = len(SEEDS) / two
    title = f"{len(SEEDS)} trainings of two epochs; two workers make {rate:.2f} points a second"
    compare(title, ("one worker, this process", one), ("two workers", two), GOAL, unit="s")


if __name__ == "__main__":
    main()

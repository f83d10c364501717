"""What the cache of recipe prefixes saves: the same last step again, after a training that need not run again."""

import torch
from _report import compare, interleave

from efflab import Lab, fine_tune, prune_weights, step


def main() -> None:
    """A bench that tunes a network and prunes it a little more; then the slider moves."""
    torch.set_num_threads(1)
    lab = Lab.open("mlp-digits")
    trained = (step(prune_weights, sparsity=0.8), step(fine_tune, epochs=1))
    recipe = (*trained, step(prune_weights, sparsity=0.9))

    def without() -> None:
        lab.forget(trained[:1])  # everything that was built on the first step, too
        lab.preview(recipe)

    def with_cache() -> None:
        lab.forget(recipe)
        lab.preview(recipe)

    base, candidate = interleave(without, with_cache, 9)
    compare(
        "prune, tune, prune again", ("everything anew", base), ("with the prefix kept", candidate), goal=0.5, unit="s"
    )


if __name__ == "__main__":
    main()

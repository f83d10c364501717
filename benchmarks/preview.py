"""`lab.preview` of a pruned network over a bare forward pass of the same images."""

import copy

import torch
from _report import compare, interleave

from efflab import Lab, prune_weights, step
from efflab.measure.accuracy import CHUNK


def main() -> None:
    """Compare on both tasks; nothing comes from the cache of recipes."""
    torch.set_num_threads(1)
    for checkpoint in ("mlp-digits", "cnn-digits", "lenet5-scattered", "cnn-scattered"):
        lab = Lab.open(checkpoint)
        split = lab.data.validation
        pruned = copy.deepcopy(lab.build((step(prune_weights, sparsity=0.5),)))

        def bare(model: torch.nn.Module = pruned, images: torch.Tensor = split.images) -> None:
            with torch.inference_mode():
                for part in images.split(CHUNK):
                    model(part)

        def preview(lab: Lab = lab) -> None:
            recipe = (step(prune_weights, sparsity=0.5),)
            lab.forget(recipe)  # or the second run would come from the cache
            lab.preview(recipe)

        base, candidate = interleave(bare, preview, 30)
        compare(
            f"preview, {checkpoint}, {len(split):,} images",
            ("bare forward pass, same chunks", base * 1000),
            ("lab.preview: prune, count, evaluate, compare", candidate * 1000),
            goal=1.3,
        )


if __name__ == "__main__":
    main()

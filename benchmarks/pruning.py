"""Prune and evaluate, against `torch.nn.utils.prune` doing the same; and that both leave the same weights."""

import copy

import torch
from _report import compare, interleave
from torch.nn.utils import prune

from efflab import Lab, prune_weights, step
from efflab.training import predict


def main() -> None:
    """Global magnitude pruning to 80 % and a look at all validation images."""
    torch.set_num_threads(1)
    for checkpoint in ("mlp-digits", "cnn-scattered"):
        lab = Lab.open(checkpoint)
        base_model, images, labels = lab.build(()), lab.data.validation.images, lab.data.validation.labels

        def with_torch(base_model: torch.nn.Module = base_model) -> torch.nn.Module:
            model = copy.deepcopy(base_model)
            for parameter in model.parameters():  # torch's pruning cannot read kernels stored with channels last
                parameter.data = parameter.data.contiguous()
            targets = [(m, "weight") for m in model.modules() if isinstance(m, (torch.nn.Linear, torch.nn.Conv2d))]
            prune.global_unstructured(targets, pruning_method=prune.L1Unstructured, amount=0.8)
            for module, name in targets:
                prune.remove(module, name)
            return model

        def base(images: torch.Tensor = images, labels: torch.Tensor = labels) -> None:
            (predict(with_torch(), images).argmax(1) == labels).float().mean().item()

        def candidate(lab: Lab = lab) -> None:
            recipe = (step(prune_weights, sparsity=0.8),)
            lab.forget(recipe)  # or the second run would come from the cache
            lab.preview(recipe)

        theirs, ours = with_torch().state_dict(), prune_weights(base_model, sparsity=0.8).state_dict()
        assert all(torch.equal(theirs[name], ours[name]) for name in theirs), "the weights differ"
        a, b = interleave(base, candidate, 30)
        compare(
            f"prune and evaluate, {checkpoint}; equal weights: yes",
            ("torch.nn.utils.prune, evaluated in chunks of 250", a * 1000),
            ("lab.preview, with interval and paired difference", b * 1000),
            goal=2.0,
        )


if __name__ == "__main__":
    main()

"""A 28-point sensitivity scan (4 layers, 7 sparsities) against a bare loop that evaluates 28 pruned networks."""

import copy

import torch
from _report import compare, interleave

from efflab import Lab
from efflab.measure.accuracy import CHUNK
from efflab.prune import SPARSITIES


def main() -> None:
    """Both prune by magnitude; the bare loop keeps no intervals and no answers."""
    torch.set_num_threads(1)
    lab = Lab.open("cnn-digits")
    images, labels = lab.data.validation.images, lab.data.validation.labels
    model = copy.deepcopy(lab.build(()))

    @torch.inference_mode()
    def bare() -> list[float]:
        scores = []
        for layer in (m for m in model.modules() if isinstance(m, (torch.nn.Linear, torch.nn.Conv2d))):
            whole = layer.weight.clone()
            for sparsity in SPARSITIES:
                limit = whole.abs().flatten().kthvalue(max(1, round(sparsity * whole.numel()))).values
                layer.weight.copy_(whole * (whole.abs() > limit))
                right = sum(
                    (model(x).argmax(1) == y).sum()
                    for x, y in zip(images.split(CHUNK), labels.split(CHUNK), strict=True)
                )
                scores.append(float(right) / len(labels))
            layer.weight.copy_(whole)
        return scores

    scan = [point.evaluation.value for point in lab.sensitivity()]
    assert len(scan) == 28, f"the scan has {len(scan)} points"
    assert max(abs(a - b) for a, b in zip(bare(), scan, strict=True)) < 1e-3, "the two scans differ"
    base, candidate = interleave(bare, lambda: list(lab.sensitivity()), 5)
    compare("sensitivity scan, 28 points", ("bare loop", base), ("lab.sensitivity()", candidate), goal=1.2, unit="s")


if __name__ == "__main__":
    main()

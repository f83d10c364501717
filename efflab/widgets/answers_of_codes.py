"""What a learner predicted of codebooks and codes, as it was computed or measured: the answers of chapter 07."""

from typing import TYPE_CHECKING

from efflab.lab.encoding import EncodedNetwork
from efflab.quantize.codebook import STARTS
from efflab.widgets.answers import EQUAL, is_only, is_there, part_of_loss

if TYPE_CHECKING:  # a bench asks these functions
    from efflab.widgets.bench import Bench


def bits_of_kept(bench: "Bench") -> float | None:
    """For "how many bits are stored for each weight that is left?": packed, with places and codebook, once there."""
    if bench.preview is None or not is_there(bench):
        return None
    return 8 * bench.preview.size.packed_bytes / bench.preview.size.n_kept


def worst_start(bench: "Bench") -> str | None:
    """For "which start ends lowest?", once all were seen where it is asked; "equal" where they are close."""
    there = [one for one in bench.stage.trail if is_only(bench, one.recipe)]
    scores = {str(one.recipe[0].values["start"]): one.evaluation.value for one in there}
    if set(scores) != set(STARTS):
        return None
    if max(scores.values()) - min(scores.values()) < EQUAL:
        return "equal"
    return min(scores, key=lambda name: scores[name])


def trained_back(bench: "Bench") -> str | None:
    """For "what does training the values bring back?": "worse", "nothing", "part" or "all" of what sharing lost."""
    trained = bench.recipe[1:]
    if bench.preview is None or len(trained) != 1 or not trained[0].technique.is_slow:
        return None
    return part_of_loss(bench) if is_only(bench, bench.recipe[:1]) else None


def saved_by_huffman(encoded: EncodedNetwork) -> float:
    """For "how much smaller does Huffman's code make the file?": percent of what it would be without."""
    return 100 * (1 - encoded.n_bytes / encoded.plain_bytes)

"""Orders of two steps that cannot be: the sentence says which one works, and that one does."""

import pytest
import support

from efflab import Lab
from efflab.recipe import TECHNIQUES, step


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(support.tiny_cnn(), support.tiny_data(), name="tiny-cnn")


@pytest.mark.parametrize(
    ("late", "early", "said"),
    [
        *(
            (late, code, f"train first, and {encode} what comes out")
            for late in ("fine_tune", "prune_gradually", "prune_iteratively")
            for code, encode in (("quantize_weights", "quantize"), ("share_weights", "share"))
        ),
        ("prune_filters", "quantize_weights", "remove those first, and quantize what is left"),
        ("prune_filters", "share_weights", "remove those first, and share what is left"),
        ("fold_batch_norms", "quantize_weights", "fold first, and quantize what comes out"),
        ("fold_batch_norms", "quantize_activations", "fold first, and quantize what comes out"),
        ("train_ticket", "quantize_weights", "draw new ones first, and quantize what comes out"),
        ("start_again", "share_weights", "draw new ones first, and share what comes out"),
        ("recalibrate", "fold_batch_norms", "take this step before fold_batch_norms"),
    ],
)
def test_an_order_that_cannot_be_says_which_one_works_and_that_one_does(lab, late, early, said):
    one, other = (step(TECHNIQUES[name]) for name in (early, late))
    with pytest.raises(ValueError, match=said):
        lab.build((one, other))
    assert lab.build((other, one)) is not None


def test_what_equalizes_comes_before_sharing_too():
    lab = Lab(support.tiny_mlp(), support.tiny_data(), name="tiny-mlp")
    share, equalize = step(TECHNIQUES["share_weights"]), step(TECHNIQUES["equalize"])
    with pytest.raises(ValueError, match="equalize first, and share what comes out"):
        lab.build((share, equalize))
    assert lab.build((equalize, share)) is not None

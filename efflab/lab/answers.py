"""What a lab answers with: a `Preview`, cheap enough to follow a slider, or a `Report` on what would be shipped."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from efflab.measure import Difference, Evaluation, Size
from efflab.measure.speed import Speed
from efflab.recipe import Recipe
from efflab.runtime import Planned


@dataclass(frozen=True)
class Preview:
    """A recipe's network, judged without building anything: accuracy so far and computed sizes.

    `difference` is paired with the base, on the same validation images. `is_partial`: its training was stopped early.
    """

    recipe: Recipe
    evaluation: Evaluation
    difference: Difference
    size: Size
    base_size: Size
    is_partial: bool = False

    @property
    def removed(self) -> float:
        """The fraction of the base's weights that are gone, as zeros or with their channels."""
        return 1 - self.size.n_kept / self.base_size.n_kept if self.base_size.n_kept else 0.0


@dataclass(frozen=True)
class Report:
    """A recipe's network as it would be shipped, beside the base: files weighed, speed timed, all on this machine.

    Where weights lie on grids, the file holds integers: `kernels` says what each layer runs as, and `from_file` is what
    the file answers on validation data. Else there are no such kernels, and `from_file` is None.
    """

    preview: Preview
    base_file_bytes: int
    file_bytes: int
    base_compressed_bytes: int
    compressed_bytes: int
    speed: Speed
    kernels: Mapping[str, Planned] = field(default_factory=dict)
    from_file: Evaluation | None = None

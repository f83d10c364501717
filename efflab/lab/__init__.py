"""The lab: a base model and its data; a recipe goes in, a judged network comes out.

`lab.py` is the lab itself; `answers.py` what it answers with; `networks.py` makes a network of a recipe; `kept.py`
keeps what need not be made again; `sweeps.py` has the values of a sweep, `sweeping.py` runs its points, of which
`swept.py` says what they are, on the workers of `sweep_workers.py`, and `sweep_file.py` keeps them; `prefixes.py`
follows a recipe step by step, and `seeds.py` runs it with several seeds; `side_by_side.py` trains a student alone and
with its teacher, and `comparison.py` keeps what came of it over some seeds; `states.py` measures one pruned network in
four states, and `kernels.py` one in the ways to run it; `cuts.py` is what a lab says of channels, from `blocks.py`,
`filters.py`, `channels.py` and `fitting.py`; `grids.py` is what it says of numbers on grids, from `weights_on_grid.py`
and `activations_on_grid.py`, which count with `number_lines.py`, and from `grid_errors.py` and `grid_bytes.py`, of
which `limits.py` makes sentences; `bits.py` spends bits within a budget; `encoding.py` weighs Deep Compression's file;
`diagnosis.py` says where the time goes and why it is not faster, with the `rates.py` that it assumes and the
`course.py` that it takes; `soft_answers.py` softens what a teacher says, and `loss_terms.py` and `loss_landscape.py`
say what the losses of a student do with it; `side_by_side.py` trains two students in turns, `missing.py` without one
class, and `representations.py` compares what layers hold; `shipping.py` has the folders and stopwatches of all of them.
"""

from efflab.lab.answers import Preview, Report
from efflab.lab.lab import Lab
from efflab.lab.swept import SweepError, Swept, points_table

__all__ = ["Lab", "Preview", "Report", "SweepError", "Swept", "points_table"]

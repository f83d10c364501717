"""The lab: a base model and its data; a recipe goes in, a judged network comes out.

`lab.py` is the lab itself; `answers.py` what it answers with; `networks.py` makes a network of a recipe; `kept.py`
keeps what need not be made again; `sweeps.py` has the values and the table of a sweep; `states.py` measures one pruned
network in four states; `cuts.py` is what a lab says of channels, from `blocks.py`, `filters.py`, `channels.py` and
`fitting.py`, and `bits.py` what it says of bits; `diagnosis.py` says where the time goes and why it is not faster, with
the `rates.py` that it assumes; `shipping.py` has the folders and stopwatches of all of them.
"""

from efflab.lab.answers import Preview, Report
from efflab.lab.lab import Lab

__all__ = ["Lab", "Preview", "Report"]

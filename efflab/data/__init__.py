"""What we learn from: a frozen `Data` of four splits, and where it comes from."""

from efflab.data.files import DataError, read_idx
from efflab.data.folder import from_folder
from efflab.data.handwriting import digits
from efflab.data.leaving_out import without_class
from efflab.data.own import from_arrays
from efflab.data.scattering import scattered
from efflab.data.sources import SOURCES, is_available, load
from efflab.data.splits import Data, Split
from efflab.data.task import Classification, wilson
from efflab.data.torch_dataset import from_torch

__all__ = [
    "SOURCES",
    "Classification",
    "Data",
    "DataError",
    "Split",
    "digits",
    "from_arrays",
    "from_folder",
    "from_torch",
    "is_available",
    "load",
    "read_idx",
    "scattered",
    "wilson",
    "without_class",
]

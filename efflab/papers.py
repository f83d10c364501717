"""Published tables, cited, and one's own numbers in the same columns."""

from typing import TYPE_CHECKING

from efflab import shipped
from efflab.lab import Lab, Preview

if TYPE_CHECKING:
    import pandas as pd


def table(name: str) -> "pd.DataFrame":
    """The table of a paper, from `data/papers/NAME.csv`; its column `source` says where each row stands.

    Raises:
        FileNotFoundError: there is no table of this name.
    """
    import pandas as pd

    folder = shipped.folder("papers")
    if not (folder / f"{name}.csv").is_file():
        known = ", ".join(sorted(path.stem for path in folder.glob("*.csv")))
        raise FileNotFoundError(f"there is no table called {name!r} in {folder}; there are: {known}")
    return pd.read_csv(folder / f"{name}.csv")


def beside(cited: "pd.DataFrame", preview: Preview, lab: Lab) -> "pd.DataFrame":
    """A pruning table with a row for `preview`, measured on validation data: errors in percent, weights counted."""
    import pandas as pd

    own = {
        "network": "yours",
        "data": f"{lab.data.name} (validation, {preview.evaluation.n:,} images)",
        "reference_error_percent": round(100 * (1 - lab.baseline.value), 2),
        "pruned_error_percent": round(100 * (1 - preview.evaluation.value), 2),
        "parameters": preview.base_size.n_parameters,
        "kept": preview.size.n_nonzero,
        "source": "this notebook",
        "kind": "measured",
    }
    return pd.concat([cited, pd.DataFrame([own])], ignore_index=True)

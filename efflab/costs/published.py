"""Published trainings beside the formulas, in the same columns: what was cited, what 6ND says, and why they differ.

Two numbers that nobody published follow from those that were: the utilisation that turns 6ND into the GPU hours, and
the grams of CO2 for a kWh that turn the electricity into the tonnes. Where a number is absent, so is what needs it.

Reference: each row names its own in the column `source`.
"""

from typing import TYPE_CHECKING

from efflab.costs.defaults import GRAMS_PER_KWH, PUE, UTILISATION, WATTS
from efflab.costs.presets import TrainingRun, presets
from efflab.costs.quantities import GramsPerKwh, Pue, Utilisation
from efflab.costs.training import TrainingCost, training_cost, training_flops

if TYPE_CHECKING:  # pandas takes 0.4 s to import: only who asks for a table pays
    import pandas as pd


def published_trainings(
    *, utilisation: Utilisation = UTILISATION, pue: Pue = PUE, grams_per_kwh: GramsPerKwh = GRAMS_PER_KWH
) -> "pd.DataFrame":
    """A row for each published training: cited hours and CO2 beside those estimated with your assumptions.

    Columns: `training`, `gpu` (cited; the estimates take its peak and its watts), `operations` (computed, 6ND),
    `hours_cited`, `hours_estimated`, `utilisation` (computed, of the cited hours, a fraction), `mwh` (as published, or
    cited hours x cited watts), `tonnes_cited`, `tonnes_estimated`, `grams_per_kwh` (computed, of the cited tonnes),
    `source`. A number that cannot be known is NaN.

    Raises:
        ValueError, TypeError: an assumption is out of its range.
    """
    import pandas as pd

    rows = [_row(run, utilisation, pue, grams_per_kwh) for run in presets().runs]
    table = pd.DataFrame(rows)
    numbers = table.columns.difference(["training", "gpu", "source"])
    return table.astype(dict.fromkeys(numbers, float))  # None becomes NaN


def _row(run: TrainingRun, utilisation: float, pue: float, grams_per_kwh: float) -> dict[str, str | float | None]:
    flops = training_flops(billion_parameters=run.n_parameters / 1e9, billion_tokens=run.n_tokens / 1e9)
    cost = _cost(run, utilisation, pue, grams_per_kwh)
    known = estimated_cost(run, utilisation=utilisation, pue=pue, grams_per_kwh=grams_per_kwh)
    energy_kwh = run.energy_kwh
    return {
        "training": run.model,
        "gpu": run.gpu,
        "operations": flops,
        "hours_cited": run.gpu_hours,
        "hours_estimated": cost.device_hours if cost else None,
        "utilisation": flops / (run.peak_tflops * 1e12 * run.gpu_hours * 3600)
        if run.peak_tflops and run.gpu_hours
        else None,
        "mwh": energy_kwh / 1000 if energy_kwh else None,
        "tonnes_cited": run.co2_kg / 1000 if run.co2_kg else None,
        "tonnes_estimated": known.co2_kg / 1000 if known else None,
        "grams_per_kwh": 1000 * run.co2_kg / energy_kwh if run.co2_kg and energy_kwh else None,
        "source": run.source,
    }


def estimated_cost(
    run: TrainingRun, *, utilisation: Utilisation, pue: Pue, grams_per_kwh: GramsPerKwh
) -> TrainingCost | None:
    """What the formulas say of a published training with its own GPU; None where its peak or watts are not cited."""
    return _cost(run, utilisation, pue, grams_per_kwh) if run.watts else None


def _cost(run: TrainingRun, utilisation: float, pue: float, grams_per_kwh: float) -> TrainingCost | None:
    """The cost with the run's own GPU; None where its peak is not cited. Without its watts the energy means nothing."""
    if run.peak_tflops is None:
        return None
    return training_cost(
        billion_parameters=run.n_parameters / 1e9,
        billion_tokens=run.n_tokens / 1e9,
        peak_tflops=run.peak_tflops,
        utilisation=utilisation,
        watts=run.watts or WATTS,
        devices=1,
        pue=pue,
        grams_per_kwh=grams_per_kwh,
    )

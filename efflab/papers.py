"""Published tables, cited, and one's own numbers in the same columns."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from efflab import shipped
from efflab.knobs import Setting
from efflab.lab import Lab, Preview, Report
from efflab.lab.comparison import Comparison, Row, three_rows
from efflab.lab.encoding import EncodedNetwork
from efflab.lab.side_by_side import Arm, Pair
from efflab.measure.kernel_speed import KernelSpeed

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


def beside(cited: "pd.DataFrame", preview: Preview, lab: Lab, report: Report | None = None) -> "pd.DataFrame":
    """A table of smaller networks with a row for `preview`, measured on validation data, in the same columns.

    Errors and accuracies are percent, weights and MACs are counted; times are of `report`, empty without one.
    """
    import pandas as pd

    base, now = lab.baseline.value, preview.evaluation.value
    own = {
        "network": "yours",
        "data": f"{lab.data.name} (validation, {preview.evaluation.n:,} images)",
        "reference_error_percent": round(100 * (1 - base), 2),
        "pruned_error_percent": round(100 * (1 - now), 2),
        "reference_accuracy_percent": round(100 * base, 2),
        "pruned_accuracy_percent": round(100 * now, 2),
        "weights": _done(preview),
        "quantized_accuracy_percent": round(100 * now, 2),
        "parameters": preview.base_size.n_parameters,
        "kept": preview.size.n_nonzero,
        "source": f"this notebook, batch {report.speed.batch}" if report else "this notebook",
        "kind": "measured",
    }
    if {"macs", "times_fewer_macs"} & set(cited.columns):
        macs, kept_macs = lab.macs(()), lab.macs(preview.recipe)
        own |= {"macs": macs, "kept_macs": kept_macs, "times_fewer_macs": round(macs / kept_macs, 2)}
    if report:
        own["times_faster"] = round(1 / report.speed.ratio, 2)
    row = {name: value for name, value in own.items() if name in cited.columns}
    return pd.concat([cited, pd.DataFrame([row])], ignore_index=True)


def beside_encoded(cited: "pd.DataFrame", encoded: EncodedNetwork, lab: Lab) -> "pd.DataFrame":
    """A table of compressed files with a row for one that was written, weighed and read back here, in the same columns.

    Errors are percent, of validation data; kilobytes are thousands of bytes, and as whole as those of the papers.
    """
    import pandas as pd

    own = {
        "network": "yours",
        "data": f"{lab.data.name} (validation, {encoded.evaluation.n:,} images)",
        "reference_error_percent": round(100 * (1 - lab.baseline.value), 2),
        "compressed_error_percent": round(100 * (1 - encoded.evaluation.value), 2),
        "reference_kb": round(encoded.base_bytes / 1000),
        "compressed_kb": round(encoded.n_bytes / 1000),
        "times_smaller": round(encoded.times_smaller),
        "source": "this notebook",
        "kind": "measured",
    }
    row = {name: value for name, value in own.items() if name in cited.columns}
    return pd.concat([cited, pd.DataFrame([row])], ignore_index=True)


def beside_shipped(cited: "pd.DataFrame", report: Report, lab: Lab) -> "pd.DataFrame":
    """A table of files that are shipped, with a row for one that was weighed here, in the same columns.

    Kilobytes are thousands of bytes, of the ONNX files of the base and of the network that the recipe makes. The
    accuracy, in percent, is what the file answers on validation data.
    """
    import pandas as pd

    found = report.from_file or report.preview.evaluation
    own = {
        "network": f"yours: {_done(report.preview)}",
        "data": f"{lab.data.name} (validation, {found.n:,} images)",
        "reference_kb": round(report.base_file_bytes / 1000, 1),
        "compressed_kb": round(report.file_bytes / 1000, 1),
        "times_smaller": round(report.base_file_bytes / report.file_bytes, 2),
        "accuracy_percent": round(100 * found.value, 2),
        "accuracy_is": "what the file answers",
        "source": "this notebook",
        "kind": "measured",
    }
    row = {name: value for name, value in own.items() if name in cited.columns}
    return pd.concat([cited, pd.DataFrame([row])], ignore_index=True)


def beside_students(cited: "pd.DataFrame", lab: Lab, comparison: Comparison | None) -> "pd.DataFrame":
    """A table of taught students, and below it teacher, student alone and student with teacher, as they came out here.

    Errors are counted on validation images; the students are those of the lab's own seed, and the column `source` says
    how they were made. How many times smaller a student is, in parameters, and how many times faster, once it was
    timed, is said beside its teacher. Nothing is added before two trainings are over.
    """
    import pandas as pd

    pair = comparison.of_seed(lab.seed) if comparison else None
    if pair is None or pair.difference is None:
        return cited
    rows, made = three_rows(lab, comparison), _sources(lab, pair)
    own = pd.DataFrame([_student(row, rows[0], lab, source) for row, source in zip(rows, made, strict=True)])
    return pd.concat([cited, own[[name for name in cited.columns if name in own]]], ignore_index=True)


def _sources(lab: Lab, pair: Pair) -> tuple[str, str, str]:
    """How teacher, student alone and student with teacher were made."""
    teacher = lab.name if lab.teacher is lab.build(()) else f"the teacher of {lab.name}"
    alone, taught = (f"{_trained(arm)}; seed {pair.seed}" for arm in (pair.alone, pair.taught))
    return f"this notebook: {teacher}", f"this notebook: {alone}", f"this notebook: {taught}; taught by {teacher}"


def _trained(arm: Arm) -> str:
    """Its steps with all their settings: "start student (kind mlp, width 64), then fine tune (epochs 15, ...)"."""
    return ", then ".join(f"{one.technique.label} ({_settings(one.values)})" for one in arm.recipe)


def _settings(values: Mapping[str, Setting]) -> str:
    written = {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in values.items()}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in written.items())


def _student(row: Row, teacher: Row, lab: Lab, source: str) -> dict[str, object]:
    """A network of a comparison that is over, in the columns that some table has."""
    assert row.evaluation is not None
    assert row.size is not None
    assert teacher.size is not None
    n, value = row.evaluation.n, row.evaluation.value
    is_timed = row.time is not None and teacher.time is not None
    return {
        "network": f"yours: {row.name}{', stopped early' if row.is_partial else ''}",
        "data": f"{lab.data.name} (validation, {n:,} images)",
        "transfer_set": "all classes",
        "images": n,
        "errors": round(n * (1 - value)),
        "error_percent": round(100 * (1 - value), 2),
        "accuracy_percent": round(100 * value, 2),
        "parameters": row.size.n_parameters,
        "times_smaller": round(teacher.size.n_parameters / row.size.n_parameters, 2),
        "times_faster": round(teacher.time.median_ms / row.time.median_ms, 2) if is_timed else float("nan"),  # type: ignore[union-attr]  # is_timed
        "source": source,
        "kind": "measured",
    }


def beside_products(cited: "pd.DataFrame", points: Iterable[KernelSpeed]) -> "pd.DataFrame":
    """A table of sparse products, and below each row the same product as it was measured on this machine, if it was.

    Times are microseconds for one input of the batch. A product counts as the same within one point of sparsity. The
    column `verdict` says of what was measured whether there is a difference at all.
    """
    import pandas as pd

    points = [point for point in points if point.layout == "csr"]
    rows: list[dict[str, object]] = []
    for row in cited.to_dict("records"):
        rows.append({str(name): value for name, value in row.items()})
        same = (row["outputs"], row["inputs"], row["batch"])
        own = [point for point in points if (point.rows, point.columns, point.speed.batch) == same]
        rows += [_product(row["layer"], point) for point in own if _is_near(point, float(row["kept_percent"]))][-1:]
    table = pd.DataFrame(rows)
    table["times_faster"] = (table["dense_us"] / table["sparse_us"]).round(2)
    order = [*(name for name in table if name not in ("verdict", "source", "kind")), "verdict", "source", "kind"]
    return table.reindex(columns=order).astype({"verdict": object}).fillna({"verdict": ""})


def _done(preview: Preview) -> str:
    """The steps of a recipe in the words of their labels, with their bits if they have some."""
    bits = [one.values.get("bits") for one in preview.recipe]
    with_bits = [f", {n} bits" if isinstance(n, int) else "" for n in bits]
    return ", then ".join(one.technique.label + n for one, n in zip(preview.recipe, with_bits, strict=True))


def _is_near(point: KernelSpeed, kept_percent: float) -> bool:
    return abs(100 * (1 - point.sparsity) - kept_percent) <= 1 + 1e-9


def _product(layer: object, point: KernelSpeed) -> dict[str, object]:
    dense, sparse = (1000 * time.median_ms / point.speed.batch for time in (point.speed.base, point.speed.now))
    return {
        "layer": layer,
        "outputs": point.rows,
        "inputs": point.columns,
        "kept_percent": round(100 * (1 - point.sparsity)),
        "batch": point.speed.batch,
        "dense_us": round(dense, 1),
        "sparse_us": round(sparse, 1),
        "source": "this notebook",
        "kind": "measured",
        "verdict": point.speed.verdict,
    }

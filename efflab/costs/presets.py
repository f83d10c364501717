"""Public models, devices and trainings with the numbers that others published, each with its source.

The tables lie in `data/papers/` as CSV. A number that nobody published is absent (None), never guessed.
"""

import csv
from dataclasses import dataclass
from functools import cache

from efflab import shipped
from efflab.measure.carbon import CarbonIntensity, carbon_intensities


@dataclass(frozen=True)
class LanguageModel:
    """The published shape of a language model. n_parameters: as cited, not as computed."""

    name: str
    n_parameters: float
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    context: int
    feed_forward: int
    vocabulary: int
    positions: int
    is_gated: bool
    is_tied: bool
    source: str

    @property
    def shape(self) -> dict[str, float | int]:
        """What `llm_memory` and `decoding_speed` ask of a model: `llm_memory(**model.shape, bits=4)`."""
        return {
            "billion_parameters": self.n_parameters / 1e9,
            "layers": self.layers,
            "kv_heads": self.kv_heads,
            "head_dim": self.head_dim,
        }

    @property
    def n_parameters_of_shape(self) -> int:
        """Weights of the matrices that the shape implies; biases and norms, well below 1 %, are left out.

        A layer has queries and the output (hidden x heads x head_dim each), keys and values (hidden x kv_heads x
        head_dim each), and two feed-forward matrices, or three with a gate. The output matrix is the embedding's
        where they are tied.
        """
        attention = 2 * self.hidden * self.head_dim * (self.heads + self.kv_heads)
        feed_forward = (3 if self.is_gated else 2) * self.hidden * self.feed_forward
        embeddings = (1 if self.is_tied else 2) * self.vocabulary + self.positions
        return self.layers * (attention + feed_forward) + self.hidden * embeddings


@dataclass(frozen=True)
class Device:
    """A device: its memory and how fast it is read. peak_tflops (16 bits) and watts: None where they are not cited.

    bandwidth_badge: "cited", or "computed" where nobody published the bandwidth; `source` says from what.
    """

    name: str
    kind: str
    memory_bytes: float
    bandwidth_gb_per_s: float
    bandwidth_badge: str
    peak_tflops: float | None
    watts: float | None
    source: str


@dataclass(frozen=True)
class TrainingRun:
    """A training that somebody published; what they did not publish is None.

    peak_tflops: of its GPU in 16 bits, from the source of that GPU in the table of devices.
    """

    model: str
    n_parameters: float
    n_tokens: float
    gpu: str
    peak_tflops: float | None
    gpu_hours: float | None
    watts: float | None
    published_kwh: float | None
    co2_kg: float | None
    flops: float | None
    source: str

    @property
    def energy_kwh(self) -> float | None:
        """As published, else the hours times the watts; None when neither is known."""
        if self.published_kwh is not None:
            return self.published_kwh
        return self.gpu_hours * self.watts / 1000 if self.gpu_hours and self.watts else None


@dataclass(frozen=True)
class Presets:
    """All that was cited: models from small to large, devices, trainings, countries."""

    models: tuple[LanguageModel, ...]
    devices: tuple[Device, ...]
    runs: tuple[TrainingRun, ...]
    countries: tuple[CarbonIntensity, ...]

    def model(self, name: str) -> LanguageModel:
        """The model of this name.

        Raises:
            ValueError: there is none.
        """
        for model in self.models:
            if model.name == name:
                return model
        raise ValueError(f"there is no model called {name!r}; there are: {', '.join(one.name for one in self.models)}")

    def device(self, name: str) -> Device:
        """The device of this name.

        Raises:
            ValueError: there is none.
        """
        for device in self.devices:
            if device.name == name:
                return device
        raise ValueError(f"there is no device called {name!r}; there are: {', '.join(d.name for d in self.devices)}")


@cache
def presets() -> Presets:
    """The published models, devices, trainings and countries.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    return Presets(
        tuple(_model(row) for row in _rows("language_models")),
        tuple(_device(row) for row in _rows("devices")),
        tuple(_run(row) for row in _rows("training_runs")),
        tuple(carbon_intensities().values()),
    )


def _rows(table: str) -> list[dict[str, str]]:
    with (shipped.folder("papers") / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _number(text: str) -> float | None:
    return float(text) if text else None


def _model(row: dict[str, str]) -> LanguageModel:
    return LanguageModel(
        row["name"],
        float(row["parameters"]),
        layers=int(row["layers"]),
        hidden=int(row["hidden"]),
        heads=int(row["heads"]),
        kv_heads=int(row["kv_heads"]),
        head_dim=int(row["head_dim"]),
        context=int(row["context"]),
        feed_forward=int(row["feed_forward"]),
        vocabulary=int(row["vocabulary"]),
        positions=int(row["positions"]),
        is_gated=row["gated"] == "yes",
        is_tied=row["tied"] == "yes",
        source=row["source"],
    )


def _device(row: dict[str, str]) -> Device:
    memory, bandwidth = float(row["memory_gb"]) * 1e9, float(row["bandwidth_gb_per_s"])
    peak, watts = _number(row["peak_tflops"]), _number(row["watts"])
    return Device(
        row["name"], row["kind"], memory, bandwidth, row["bandwidth_badge"], peak, watts=watts, source=row["source"]
    )


def _run(row: dict[str, str]) -> TrainingRun:
    energy, co2 = _number(row["energy_mwh"]), _number(row["tonnes_co2"])
    return TrainingRun(
        row["model"],
        float(row["parameters"]),
        float(row["tokens"]),
        row["gpu"],
        _number(row["peak_tflops"]),
        _number(row["gpu_hours"]),
        _number(row["watts"]),
        None if energy is None else energy * 1000,
        None if co2 is None else co2 * 1000,
        _number(row["flops"]),
        row["source"],
    )

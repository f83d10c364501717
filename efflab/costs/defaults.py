"""The defaults of the formulas, declared once: Llama 2 7B, and assumptions about buildings and electricity.

The model's shape and the world's electricity are cited: a test holds them against the tables in `data/papers/`.
"""

BILLION_PARAMETERS = 6.74
LAYERS = 32
KV_HEADS = 32
HEAD_DIM = 128
CONTEXT = 4096
"""The shape of Llama 2 7B, and the context that it was trained for (`language_models.csv`)."""

BILLION_TOKENS = 2000.0
"""The text that Llama 2 7B was trained on (`training_runs.csv`)."""

PEAK_TFLOPS = 312.0
WATTS = 400.0
"""An A100, on which it was trained (`devices.csv`)."""

UTILISATION = 0.4
"""The fraction of the peak that a training reaches: an assumption."""
PUE = 1.1
"""Energy of the building for each unit that computes: an assumption."""
GRAMS_PER_KWH = 473.05
"""Grams of CO2 for a kWh of the world's electricity in 2024 (`carbon_intensity.csv`)."""

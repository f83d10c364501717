"""What a model costs in memory, time, energy, money and carbon: pure formulas, and cited numbers to put into them."""

from efflab.costs.decoding import DecodingSpeed, decoding_speed
from efflab.costs.memory import Fit, Memory, does_it_fit, kv_cache_bytes, llm_memory, weight_bytes
from efflab.costs.presets import Device, LanguageModel, Presets, TrainingRun, presets
from efflab.costs.published import estimated_cost, published_trainings
from efflab.costs.serving import ServingCost, serving_cost
from efflab.costs.training import TrainingCost, training_cost, training_flops

__all__ = [
    "DecodingSpeed",
    "Device",
    "Fit",
    "LanguageModel",
    "Memory",
    "Presets",
    "ServingCost",
    "TrainingCost",
    "TrainingRun",
    "decoding_speed",
    "does_it_fit",
    "estimated_cost",
    "kv_cache_bytes",
    "llm_memory",
    "presets",
    "published_trainings",
    "serving_cost",
    "training_cost",
    "training_flops",
    "weight_bytes",
]

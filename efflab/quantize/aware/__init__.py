"""Quantization-aware training: gradients through rounding, steps that learn, and a technique that trains with both."""

from efflab.quantize.aware.learned_steps import gradient_scale, initial_step, learned_step
from efflab.quantize.aware.straight_through import straight_through
from efflab.quantize.aware.techniques import train_quantized

__all__ = ["gradient_scale", "initial_step", "learned_step", "straight_through", "train_quantized"]

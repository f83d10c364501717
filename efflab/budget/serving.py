"""A budget for a language model that a device serves: size, context and tokens a second, all computed."""

from dataclasses import dataclass

from efflab.budget.parts import verdict
from efflab.costs import decoding_speed, does_it_fit, llm_memory, presets
from efflab.costs.texts import size, three
from efflab.questions import Verdict


@dataclass(frozen=True)
class Serving:
    """How a published language model answers one request: bits of its weights, tokens of context, bits of its cache."""

    model: str
    bits: int
    context: int
    kv_bits: int = 16


@dataclass(frozen=True)
class ServingBudget:
    """What a device must serve: a model of at least this size and context, and tokens a second as the memory allows.

    min_bits: fewer bits, of weights or of the KV cache, do not count, for what they do to the answers.
    """

    device: str
    billion_parameters: float
    context: int
    tokens_per_second: float
    min_bits: int = 4

    def judge(self, serving: Serving) -> Verdict:
        """Whether it meets all parts, said with its numbers; all are computed, and the speed is an upper bound.

        Raises:
            ValueError, TypeError: there is no such model or device, or a number is out of its range.
        """
        model, device = presets().model(serving.model), presets().device(self.device)
        settings = {"bits": serving.bits, "context": serving.context, "kv_bits": serving.kv_bits}
        memory = llm_memory(**model.shape, **settings)  # type: ignore[arg-type]  # the knobs of the call check them
        (fit,) = does_it_fit(memory, [device])
        share = 100 * fit.share
        bandwidth = device.bandwidth_gb_per_s
        speed = decoding_speed(**model.shape, **settings, bandwidth_gb_per_s=bandwidth)  # type: ignore[arg-type]
        rate, fewest = speed.tokens_per_second, min(serving.bits, serving.kv_bits)
        return verdict(
            {
                f"{model.n_parameters / 1e9:.4g} billion weights, needed at least {three(self.billion_parameters)}": (
                    model.n_parameters >= self.billion_parameters * 1e9
                ),
                f"context {serving.context:,} tokens, needed at least {self.context:,}": (
                    serving.context >= self.context
                ),
                f"{model.name} was trained for {model.context:,} tokens, the context is {serving.context:,}": (
                    model.context >= serving.context
                ),
                f"bits {serving.bits} and kv_bits {serving.kv_bits}, needed at least {self.min_bits} each": (
                    fewest >= self.min_bits
                ),
                f"memory {size(memory.total_bytes)}, {share:.1f} % of the {device.name}, allowed at most 90 %": (
                    fit.verdict == "fits"
                ),
                f"at most {three(rate)} tokens a second, needed at least {three(self.tokens_per_second)}": (
                    rate >= self.tokens_per_second
                ),
            }
        )

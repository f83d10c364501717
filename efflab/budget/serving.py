"""A budget for a language model that a device serves: size, context and tokens a second, all computed."""

from dataclasses import dataclass

from efflab.budget.parts import verdict
from efflab.costs import decoding_speed, does_it_fit, llm_memory, presets
from efflab.costs.texts import gb, three
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
        bandwidth = device.bandwidth_gb_per_s
        speed = decoding_speed(**model.shape, **settings, bandwidth_gb_per_s=bandwidth)  # type: ignore[arg-type]
        rate, fewest = speed.tokens_per_second, min(serving.bits, serving.kv_bits)
        return verdict(
            {
                f"{model.n_parameters / 1e9:.3g} billion parameters (at least {three(self.billion_parameters)})": (
                    model.n_parameters >= self.billion_parameters * 1e9
                ),
                f"{serving.context:,} tokens of context (at least {self.context:,})": serving.context >= self.context,
                f"the model was trained for {model.context:,} tokens (at least those of the context)": (
                    model.context >= serving.context
                ),
                f"{serving.bits} bits a weight, {serving.kv_bits} in the KV cache (at least {self.min_bits})": (
                    fewest >= self.min_bits
                ),
                f"{gb(memory.total_bytes)} are {fit.share * 100:.0f} % of the memory of {device.name} (at most 90 %)": (
                    fit.verdict == "fits"
                ),
                f"{three(rate)} tokens a second at most (at least {three(self.tokens_per_second)})": (
                    rate >= self.tokens_per_second
                ),
            }
        )

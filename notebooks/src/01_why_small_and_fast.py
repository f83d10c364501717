# %% [markdown]
# # 01 Why small and fast
#
# **After this chapter you can** say what a model costs in memory, time, energy, money and carbon, before you download,
# train or rent anything.
#
# 45 minutes. You need chapter [00](00_start_here.ipynb), and to have trained one network before.

# %% [markdown]
# ## 1. One knob: the bits of a weight
#
# The largest models of today are language models, so we begin with one: Llama 2 7B, which anybody may download. Make a
# prediction. Then set the bits to 16.
#
# <details><summary>What this calculator looks like when it runs (it gives the answer away)</summary>
#
# ![The memory calculator: on the left the bits of a weight; on the right two tiles, the memory and the devices that it
# fits into, and bars for 32, 16, 8 and 4 bits with the memories of devices as lines](pictures/01_memory.png)
#
# </details>

# %%
from efflab.widgets import Chapter, llm_memory_calculator

chapter = Chapter("01")
chapter.calculator(
    llm_memory_calculator(controls=("bits",), start={"bits": 32, "context": 1}),
    prediction="weights_in_16_bits",
    at={"bits": 16},
    answer=lambda memory: memory.weight_bytes / 1e9,
)

# %% [markdown]
# With how many bits does the model fit into the laptop, and with how many into the phone? The badges say where a number
# comes from: click one to see its formula or its source.
#
# Few bits have a price that no calculator here knows: the answers get worse. Chapter 05 is about that price.

# %% [markdown]
# ## 2. How it works
#
# A byte has eight bits. That is the whole formula for the weights:

# %%
from efflab.costs import kv_cache_bytes, llm_memory, presets, weight_bytes

chapter.source(weight_bytes)

# %% [markdown]
# While a model writes, it keeps something of each token so far: in each layer, and for each head, a **key** and a
# **value**. This is the **KV cache**. It saves the work of reading the whole text again for each new token:
#
# $$\text{bytes} = 2 \cdot \text{layers} \cdot \text{heads} \cdot \text{numbers in a head} \cdot \text{tokens} \cdot
# \text{requests} \cdot \frac{\text{bits}}{8}$$

# %%
chapter.source(kv_cache_bytes)

# %% [markdown]
# Newer models have fewer heads of keys and values than heads that ask, and share them (*grouped-query attention*). Here
# are three published models with 8,192 tokens of text, all in 16 bits. The memories are computed, the shapes cited.

# %%
for name in ("Llama-2-13B", "Llama-3-8B", "Qwen2.5-7B"):
    memory = llm_memory(**presets().model(name).shape, context=8192)
    print(name, *memory.working, sep="\n   ")

# %% [markdown]
# ## 3. Knobs that compete
#
# The memory of a device is shared by weights and cache. Now you have three knobs: the bits of a weight, the tokens of
# context, and the batch, which is how many requests are answered at the same time. Predict; then set the batch to 16.

# %%
chapter.calculator(
    llm_memory_calculator(controls=("bits", "context", "batch"), start={"bits": 4}),
    prediction="weights_or_cache",
    at={"bits": 4, "context": 4096, "batch": 16},
    answer=lambda memory: "cache" if memory.kv_cache_bytes > memory.weight_bytes else "weights",
)

# %% [markdown]
# Two things to try:
#
# - The RTX 4090 has 24 GB. How many requests of 4,096 tokens does it answer at the same time, with weights of 16 bits?
#   And of 4?
# - Set the context to 8,192. What does the calculator say about this model?
#
# <details><summary>What you should have seen</summary>
#
# In 16 bits 4 requests fit, tightly; in 4 bits 8. So a quarter of the bits does not serve four times as many requests:
# what the weights leave free is filled by the cache. And a context that fits is no context that the model has learned.
#
# </details>

# %% [markdown]
# ## 4. Time: tokens a second
#
# To write one token, all weights and the whole cache are read from the memory once. At small batches this takes longer
# than the arithmetic, so the memory's **bandwidth** sets a limit:
#
# $$\text{tokens per second} \le \text{batch} \cdot \frac{\text{bandwidth}}{\text{bytes of weights} + \text{bytes of
# the cache}}$$
#
# It is an upper bound: computed, not measured. Predict, then set the bits to 4.

# %%
from efflab.widgets import decoding_calculator

chapter.calculator(
    decoding_calculator(controls=("Device", "bits", "batch"), start={"bits": 16}),
    prediction="tokens_with_4_bits",
    at={"bits": 4, "batch": 1, "bandwidth_gb_per_s": 100.0},
    answer=lambda speed: speed.tokens_per_second,
)

# %% [markdown]
# Raise the batch. All requests together get more tokens, because they share one reading of the weights; each of them
# gets fewer, because the caches are read for all. Every service chooses a point on this curve. (At a large batch the
# arithmetic becomes the limit, which this formula does not count. Chapter 02 measures both limits on this laptop.)
#
# The same in Python:

# %%
from efflab.costs import decoding_speed

print(*decoding_speed(**presets().model("Mistral-7B-v0.3").shape, bits=4, bandwidth_gb_per_s=100.0).working, sep="\n")

# %% [markdown]
# ## 5. Training: operations, energy, carbon
#
# In training each weight takes part in two operations for each token forwards, a multiplication and an addition, and in
# four backwards. With $N$ weights and $D$ tokens:
#
# $$\text{operations} = 6 \, N D$$
#
# Hours follow from the peak of the GPU and the part of it that is reached, the **utilisation**. Energy follows from
# hours and watts. Carbon follows from the electricity. Predict, then set the utilisation to 40 %.

# %%
from efflab.widgets import training_calculator

training = training_calculator(
    controls=("utilisation", "pue", "Electricity of"), start={"utilisation": 1.0, "devices": 1}
)
chapter.calculator(
    training,
    prediction="years_on_one_gpu",
    at={"utilisation": 0.4},
    answer=lambda cost: cost.device_hours / (24 * 365.25),
)

# %% [markdown]
# Choose other electricity, and watch the star: nothing about the model changes, only the carbon. The same training in
# France, in Python:

# %%
from efflab.costs import training_cost

france = next(one for one in presets().countries if one.country == "France")
print(*training_cost(grams_per_kwh=france.grams_per_kwh).working, sep="\n")

# %% [markdown]
# ## 6. Serving: what your laptop measures
#
# A model is trained once and used many times. Here is a real network, LeNet-5, which reads handwriting. Press **Measure
# here**: it is timed on this laptop, which takes about two seconds. Then change the price of an hour, the watts of a core
# and the electricity: these are assumptions, and yours to change.

# %%
from efflab import Lab
from efflab.widgets import ServingCalculator

lab = Lab.open("lenet5-scattered")
ServingCalculator(lab=lab)

# %% [markdown]
# Only the latency is *measured*. The price is *estimated*: it counts the time at work, and real machines wait for
# requests, too. In Python: `speed = lab.measure(()).speed`, then
# `serving_cost(latency_ms=speed.now.median_ms, cores=speed.threads)`.
#
# Double the latency: what else doubles? Everything in the tiles. This is why the rest of the course makes networks
# faster, and why it never takes a speed for granted without measuring it.

# %% [markdown]
# ## 7. Exercise: the KV cache
#
# Write `kv_cache_bytes(layers, kv_heads, head_dim, context, batch, bits)`. It returns bytes.
#
# <details><summary>Hint</summary>
#
# Count the numbers first: how many does one token leave in one layer? Keys *and* values. Then multiply by what there is
# more than one of. Bits become bytes at the end.
#
# </details>


# %%
def kv_cache_bytes(layers, kv_heads, head_dim, context, batch, bits):
    """Bytes of the keys and values of `batch` requests with `context` tokens each."""
    # --- solution
    return 2 * layers * kv_heads * head_dim * context * batch * bits / 8
    # --- stub
    # >>> raise NotImplementedError("write me")
    # --- end


# %%
chapter.check("kv_cache_bytes", kv_cache_bytes)

# %% [markdown]
# ## 8. Exercise: tokens a second
#
# Write `tokens_per_second(weight_bytes, kv_bytes, batch, bandwidth_gb_per_s)`: the most tokens a second that all requests
# together can get. `kv_bytes` is the cache of all of them together.
#
# <details><summary>Hint</summary>
#
# One step reads the weights once and all caches once. How many seconds is that? And how many tokens has it made?
#
# </details>


# %%
def tokens_per_second(weight_bytes, kv_bytes, batch, bandwidth_gb_per_s):
    """The most tokens a second of all requests together."""
    # --- solution
    seconds = (weight_bytes + kv_bytes) / (bandwidth_gb_per_s * 1e9)
    return batch / seconds
    # --- stub
    # >>> raise NotImplementedError("write me")
    # --- end


# %%
chapter.check("tokens_per_second", tokens_per_second)

# %% [markdown]
# ## 9. The budget
#
# Choose a model of **at least 7 billion weights** that runs on the laptop (MacBook Air M2: 16 GB, 100 GB/s) with **8,192
# tokens of context** and **at least 15 tokens a second**, as far as the memory allows. At least 4 bits for each
# weight, and a tenth of the memory stays free for everything else. No hints; several choices pass. How large a model can
# you serve?

# %%
from efflab.budget import Serving, ServingBudget

budget = ServingBudget("MacBook Air M2", billion_parameters=7, context=8192, tokens_per_second=15)
", ".join(model.name for model in presets().models)

# %% tags=["student-only"]
serving = Serving("Llama-2-7B", bits=16, context=4096)  # change it until the budget is met
chapter.judge_serving(serving, budget)

# %% tags=["solution-only"]
serving = Serving("Llama-3-8B", bits=5, context=8192)
chapter.judge_serving(serving, budget)

# %% [markdown] tags=["solution-only"]
# **For the teacher.** Mistral-7B-v0.3 and Qwen2.5-7B pass with 4, 5 or 6 bits, and Llama-3-8B with 4 or 5. A KV cache of
# 8 or 4 bits lets a few more through. What fails, and why: Llama-2-7B is too small and was trained for 4,096 tokens; 16
# bits fill the memory and are too slow; 8 bits are too slow with a cache of 16.

# %% [markdown]
# ## 10. The papers beside you
#
# Eight trainings that were published. *Cited* is what stands in their model cards and papers; *yours* are the formulas
# with the utilisation, the PUE and the electricity of your calculator in section 5. Change something there, and run this
# cell again.

# %%
chapter.trainings(training)

# %% [markdown]
# Why they differ:
#
# - **Operations** are the safest column. GPT-3's paper counts 3.14 x 10^23 itself, and 6ND gives the same.
# - **Hours** depend on the utilisation. Read backwards, the cited hours show what it was: 38 to 43 % for Llama 2, half of
#   the peak for TinyLlama, much less for Llama 3 8B. Hours that a card counts but that 6ND does not know, such as
#   restarts, look like a low utilisation, too.
# - **Carbon** depends on the place. BLOOM was trained in France. The tonnes of the Llama cards are their hours, times the
#   most that a GPU may draw, times about 425 g. Yours add the building (a PUE of 1.1) and take the world's 473 g, unless
#   you changed them. No GPU draws its most all the time.
# - **Not counted** by anybody here: making the machines, failed attempts, and all that comes after the training.

# %% [markdown]
# ## 11. Three questions

# %%
chapter.quiz("why_memory_bound")

# %%
chapter.quiz("grows_with_context")

# %%
chapter.quiz("where_carbon_comes_from")

# %% [markdown]
# ## What to remember
#
# - Weights take parameters x bits / 8; the KV cache grows with the context and with every request.
# - At a small batch the memory's bandwidth sets the tokens a second, so fewer bytes are more speed: as an upper bound.
# - Training takes 6ND operations; energy and carbon come from hours, watts and the electricity, and these are assumptions.
#
# At work: [CodeCarbon](https://mlco2.github.io/codecarbon/) for the energy of your own training.
#
# **Next:** [02 Measuring honestly](02_measuring_honestly.ipynb).

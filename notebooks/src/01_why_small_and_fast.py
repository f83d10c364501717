# %% [markdown]
# # 01 Why small and fast
#
# **After this chapter you can** say what a model costs in memory, time, energy, money and carbon, before you download,
# train or rent anything.
#
# 50 minutes, and 13 more for those who go further, in the last part. You need chapter [00](00_start_here.ipynb), and to
# have trained one network before.

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

# %% tags=["demo"]
from efflab.widgets import Chapter, llm_memory_calculator

chapter = Chapter("01")
chapter.calculator(
    llm_memory_calculator(controls=("bits",), start={"bits": 32, "context": 1}),
    prediction="weights_in_16_bits",
    at={"bits": 16},
    answer=lambda memory: memory.weight_bytes / 1e9,
)

# %% [markdown]
# With how many bits does the model fit into the laptop, and with how many into the phone? It is *tight* above 90 % of
# the memory, for the system needs some, too. The badges say where a number comes from: click one to see its formula or
# its source.
#
# Few bits have a price that no calculator here knows: the answers get worse. Chapter 05 is about that price.

# %% [markdown]
# ## 2. How it works
#
# A byte has eight bits. That is the whole formula for the weights. (The names in capitals are the defaults, Llama 2 7B;
# `@formula` refuses numbers that make no sense.)

# %%
from efflab import costs
from efflab.costs import decoding_speed, llm_memory, presets, training_cost, weight_bytes

chapter.source(weight_bytes)

# %% [markdown]
# A **token** is a piece of text, about three quarters of an English word. A language model is a stack of **layers**, 32
# in Llama 2 7B. In each layer it compares the new token with all earlier ones, in several comparisons side by side: the
# **heads**. Each head keeps two lists of numbers for each earlier token, the **key** and the **value**, so that the text
# need not be read again for each new token. All of them together are the **KV cache**:
#
# $$\text{bytes} = 2 \cdot \text{layers} \cdot \text{heads} \cdot \text{numbers in a list} \cdot \text{tokens} \cdot
# \text{requests} \cdot \frac{\text{bits of the cache (16)}}{8}$$
#
# In newer models several heads share their keys and values (*grouped-query attention*), so that fewer are kept. Here are
# three published models with 4,096 tokens of text, all in 16 bits; `kv_heads` counts the heads that are kept. The
# memories are computed, the shapes cited.

# %%
for name in ("Llama-2-13B", "Llama-3-8B", "Qwen2.5-7B"):
    memory = llm_memory(**presets().model(name).shape, context=4096)
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
# - The RTX 4090 has 24 GB. How many requests of 4,096 tokens fit into it at the same time, with weights of 16 bits? And
#   of 4? (The arrow keys move a slider by one.)
# - Set the context to 8,192. What does the calculator say about this model?
#
# <details><summary>What you should have seen</summary>
#
# In 16 bits 4 requests fit, in 4 bits 9, and both are tight: 92 % and 95 %. With a tenth of the memory free they are 3
# and 8. So a quarter of the bits does not serve four times as many requests: what the weights leave free is filled by
# the cache. And that a context fits into the memory does not mean that the model has learned to use it.
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
# All requests together get more tokens from a larger batch, because they share one reading of the weights; each of them
# gets fewer, because the caches are read for all. Every service chooses a point on this curve, and the memory ends it:
# where it is pale, the caches do not fit. (At a large batch the arithmetic becomes the limit, which this formula does
# not count. Chapter 02 measures both limits on your computer.)
#
# The same in Python, for the same model and laptop:

# %%
print(*decoding_speed(bits=4, bandwidth_gb_per_s=100.0).working, sep="\n")

# %% [markdown]
# ## 5. Training: operations, energy, carbon
#
# In training each weight takes part in two operations for each token forwards, a multiplication and an addition, and in
# four backwards. With $N$ weights and $D$ tokens:
#
# $$\text{operations} = 6 \, N D$$
#
# Hours follow from the peak of the GPU and the part of it that is reached, the **utilisation**. Energy follows from
# hours, watts and the building: a **PUE** of 1.1 means that for each kWh of the computers it takes 0.1 kWh more, mostly
# for cooling. Carbon follows from the electricity. Predict, then set the utilisation to 40 %.

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
france = next(one for one in presets().countries if one.country == "France")
print(*training_cost(devices=1, grams_per_kwh=france.grams_per_kwh).working, sep="\n")

# %% [markdown]
# ## 6. Exercise: the KV cache
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
checked = chapter.check("kv_cache_bytes", kv_cache_bytes)
checked

# %% [markdown]
# Once yours passes, the next cell shows ours.

# %%
chapter.source(costs.kv_cache_bytes) if checked.verdict.passed else "Yours first: then run this cell again."

# %% [markdown]
# ## 7. The budget
#
# A phone (Galaxy S24 Ultra: 12 GB; 76.8 GB/s, computed, not published) shall answer one request about a long report.
# Choose a model, the bits of a weight, and the bits of the KV cache. Six parts must be met:
#
# - at least 7 billion weights;
# - a context of at least 32,768 tokens;
# - no context that is longer than the one the model was trained for;
# - at least 4 bits for each weight, and for each number in the KV cache (`kv_bits`);
# - at most 90 % of the memory;
# - at least 14 tokens a second, by the upper bound of section 4.
#
# No hints; several choices pass. These are the models:

# %%
from efflab.budget import Serving, ServingBudget

budget = ServingBudget("Galaxy S24 Ultra", billion_parameters=7, context=32768, tokens_per_second=14)
for model in presets().models:
    print(f"{model.name:16} {model.n_parameters / 1e9:6.2f} billion weights, trained for {model.context:7,} tokens")

# %% tags=["student-only"]
serving = Serving("Llama-3-8B", bits=8, context=8192, kv_bits=16)  # change it until the budget is met
chapter.judge_serving(serving, budget)

# %% tags=["solution-only"]
serving = Serving("Qwen2.5-7B", bits=5, context=32768, kv_bits=6)
chapter.judge_serving(serving, budget)

# %% [markdown] tags=["solution-only"]
# **For the teacher.** At this context the cache is read as well as the weights, so with 16 bits in it nothing passes.
# Qwen2.5-7B passes with 4 bits and a cache of at most 14, or with 5 and at most 6; Mistral-7B-v0.3 with 4 and at most 6.
# What fails, and why: Llama 3 8B was trained for 8,192 tokens; Mistral-7B in 8 bits fills 96 % of the memory, because
# it keeps twice as many keys and values as Qwen2.5-7B; Qwen2.5-7B in 8 bits fits, and is too slow.

# %% [markdown]
# ## 8. The papers beside you
#
# Eight trainings that were published. *Cited* is what stands in their model cards and papers; *yours* are the formulas
# on the same GPU, with the assumptions of your calculator in section 5, which stand above the table. Hours need the peak
# of the GPU, tonnes its watts as well; where these are not cited, nothing is estimated.

# %%
trainings = chapter.trainings(training)
trainings

# %% [markdown]
# These are the sources of what is cited:

# %%
for training, source in trainings.data[["training", "source"]].to_numpy():
    print(f"{training}: {source}.")

# %% [markdown]
# Why they differ:
#
# - **Operations** are the safest column. GPT-3's paper counts 3.14 x 10^23 itself, and 6ND gives the same.
# - **Hours** depend on the utilisation. Read backwards, the cited hours show what it was: 38 to 43 % for Llama 2, half of
#   the peak for TinyLlama, much less for Llama 3 8B. Hours that a card counts but that 6ND does not know, such as
#   restarts, look like a low utilisation, too.
# - **Carbon** depends on the place. BLOOM was trained in France: its paper counts 57 g for a kWh, and the table of
#   section 5 has 44 for 2024. The tonnes of the Llama cards are their hours, times the most that a GPU may draw, times
#   about 425 g; yours add the building. No GPU draws its most all the time. GPT-3's tonnes were estimated by others.
# - **Not counted** by anybody here: making the machines, failed attempts, and all that comes after the training.

# %% [markdown]
# ## 9. Three questions

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

# %% [markdown]
# ## Going further
#
# Two ideas, each by itself. Of the cells above they need only the first.

# %% [markdown]
# ### Serving: what your computer measures (7 minutes)
#
# A model is trained once and used many times. Here is a real network, LeNet-5, which reads handwriting (it takes a few
# seconds to open). Press **Measure here**: it is timed on your computer, which takes a few seconds more. Then change the
# price of an hour, the watts of a core and the electricity: these are assumptions, and yours to change. The 0.05 for an
# hour of a core is only a beginning: look up what you pay.

# %%
from efflab import Lab
from efflab.widgets import ServingCalculator

lab = Lab.open("lenet5-scattered")
ServingCalculator(lab=lab)

# %% [markdown]
# Only the latency is *measured*. The price is *estimated*: it counts the time at work, and real machines wait for
# requests, too. It is small, because LeNet-5 is: move the latency to that of a language model, some seconds.
#
# Move the latency: what else grows by the same factor? Everything in the tiles. This is why the rest of the course makes
# networks faster, and why it never takes a speed for granted without measuring it.
#
# In Python, `()` is the recipe that changes nothing, and `speed` is what the button measures:
#
# ```python
# from efflab.costs import serving_cost
#
# speed = lab.measure(()).speed
# serving_cost(latency_ms=speed.now.median_ms, cores=speed.threads)
# ```

# %% [markdown]
# ### Exercise: tokens a second (6 minutes)
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

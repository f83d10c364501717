# %% [markdown]
# # 02 Measuring honestly
#
# **After this chapter you can** say why a pruned network is often neither smaller nor faster, bring it into a form that
# is, and report a speed that others can trust.
#
# 50 minutes, and 35 more for those who go further, in the last part. You need chapter [00](00_start_here.ipynb), and to
# have trained one network before.

# %% [markdown]
# ## 1. One knob
#
# Here is a network of two hidden layers that reads handwriting. The slider sets whole **neurons** to zero: all that they
# read, and all that is read from them. The pruned network is then stored and run in four **states**. All four compute the
# same function:
#
# - **masked**: the old weights, and beside them masks of 0 and 1 that are multiplied in at each run;
# - **zeroed**: zeros among the other weights;
# - **encoded**: only what is not zero, with its places;
# - **removed**: smaller matrices, without the rows and columns of these neurons.
#
# torch runs all four. ONNX Runtime, which many use to ship a network, runs the second and the last.
#
# Make a prediction. Then move the slider to exactly 90 % (click it, and use the arrow keys) and leave it there until all
# is measured: about ten seconds.
#
# <details><summary>What this lab looks like when it runs (it gives the answer away)</summary>
#
# ![The four states: on the left a slider at 90 %; on the right the accuracy and the multiplications of one image, then
# bars of the time of each state beside the base, and bars of the size of each file](pictures/02_states.png)
#
# </details>

# %% tags=["demo"]
from efflab import Lab
from efflab.widgets import Chapter
from efflab.widgets.answers import zeroed_class

chapter = Chapter("02")
lab = Lab.open("mlp-scattered")
chapter.states(
    lab, controls=("ratio",), start={"ratio": 0.5}, prediction="zeroed_at_90", at={"ratio": 0.9}, answer=zeroed_class
)

# %% [markdown]
# "I pruned 90 %, and the file is as large and the time as long as before": no complaint about pruning is more common.
# Three things to try:
#
# - Set the slider to 0 %. Nothing is removed, and yet two states are slower than the base. Which ones, and why?
# - Open the table under a picture: it has the milliseconds of the base beside each time. The base is timed anew beside
#   each state, and its time moves, too. So a state is compared with its own neighbours in time, never with another row.
# - The accuracy falls fast, for nothing was trained afterwards. Section 6 repairs it.
#
# All of this was measured on your machine. What counts about it:

# %%
chapter.machine()

# %% [markdown]
# ## 2. How it works
#
# | state | what is stored of $n$ weights, of which $k$ are left | what is computed |
# |---|---|---|
# | masked | $4n$ bytes of weights and $4n$ of masks | the mask is multiplied in, then everything |
# | zeroed | $4n$ | everything, zeros too |
# | encoded | $4k$, as much for their columns, and where rows start | what is left, after looking up where it belongs |
# | removed | $4k$, when whole rows and columns went | what is left, as a smaller dense matrix |
#
# *Masked* is what `torch.nn.utils.prune` leaves behind. It serves training, because the old weights are still there.
# Who saves such a model saves it twice.
#
# *Removed* asks for zeros in the right places. A hidden neuron is a row of the matrix before it and a column of the matrix
# after it. If nobody reads it, or it always says zero, both can be cut off. This is how the package finds those that
# must stay:

# %%
from efflab import fine_tune, step, zero_neurons
from efflab.prune import remove_neurons
from efflab.prune.neurons import live_neurons

chapter.source(live_neurons)

# %% [markdown]
# The weights of the network before and after the cut:

# %%
pruned, base = lab.build((step(zero_neurons, ratio=0.9),)), lab.build(())
small = remove_neurons(pruned)
for name, weight in pruned.named_parameters():
    if weight.ndim == 2:
        print(name, tuple(weight.shape), "->", tuple(small.get_parameter(name).shape))

# %% [markdown]
# ## 3. Two knobs: how many neurons, and how many images at a time
#
# A service computes many images at once, a phone one. Predict; then set the ratio to 50 % and the batch to 64.

# %%
from efflab.widgets.answers import encoded_class

chapter.states(
    lab,
    start={"ratio": 0.7},
    prediction="encoded_at_batch_64",
    at={"ratio": 0.5, "batch": "64"},
    answer=encoded_class,
)

# %% [markdown]
# Now find the ratio from which on *encoded* is faster than the base, at batch 1 and at batch 64: try 50, 70, 80 and 90 %.
# It is a matter of the machine, and may be near the same at both. But look how much it loses below: a dense kernel uses
# each weight that it fetched for all 64 images, a sparse one has to look up its place. *Removed* gains most at batch 64:
# the fixed cost of a call is shared by 64 images, and the arithmetic that is left is 13 times less.

# %% [markdown]
# ## 4. How sure is a number?
#
# Every measured number here comes with an **interval**. Set 5 % of the neurons to zero, and the accuracy *rises*:

# %%
one = lab.preview((step(zero_neurons, ratio=0.05),))
low, high = one.evaluation.interval
print(f"base {lab.baseline.value:.1%}, now {one.evaluation.value:.1%} (95 % interval {low:.1%} to {high:.1%})")
points = [100 * value for value in (one.difference.value, one.difference.low, one.difference.high)]
print("difference {:+.2f} points (95 % interval {:+.2f} to {:+.2f})".format(*points))

# %% [markdown]
# Has pruning improved it? The interval of the difference contains zero: with these 2,000 images nobody can tell. It is
# several times narrower than the interval of the accuracy itself, for both networks saw the *same* images: we count only
# those on which they disagree.
#
# A time has no 2,000 images, but it has noise: other programs, the clock of the processor, where the weights lie in
# memory. So each comparison times three things in turns: the base, **the base once more**, and the new network. How far
# the base is from itself is the **noise floor**, the grey band in the picture. Inside it, the honest answer is "no
# measurable difference".

# %% [markdown]
# ### Exercise: a fair speed-up
#
# Write `fair_speedup(base, again, now)`. All three are lists of milliseconds. The result is the median of `base` over
# the median of `now`; but `None` if it is no further from 1 than the noise floor. The noise floor is how far the median of
# `again` over the median of `base` is from 1, and at least 0.02.
#
# <details><summary>Hint</summary>
#
# `statistics.median` gives the middle of a list. `abs(x - 1)` is how far `x` is from 1: you need it twice.
#
# </details>

# %%
from statistics import median


def fair_speedup(base, again, now):
    """How many times faster `now` is, or None where no difference can be measured."""
    # --- solution
    noise_floor = max(0.02, abs(median(again) / median(base) - 1))
    speedup = median(base) / median(now)
    return speedup if abs(speedup - 1) > noise_floor else None
    # --- stub
    # >>> raise NotImplementedError("write me")
    # --- end


# %%
chapter.check("fair_speedup", fair_speedup)

# %% [markdown]
# The panels ask for more than your function. Their factor is the median of the *ratios* of neighbouring runs, which
# forgives a machine that slows down halfway, and so it is not quite the ratio of the two medians in the table. And they
# call a difference one only if its whole 95 % interval lies outside the grey band.

# %% [markdown]
# ## 5. Why is it not 13 times faster?
#
# The *removed* network of section 2 against its base. Predict, then press **Look where the time goes**: it takes about
# ten seconds. Each reason on the list is held against numbers of your machine, and says whether it holds. If other programs
# kept the machine busy, your prediction stays open: close them, and look again.

# %%
from efflab.widgets.answers import main_reason

chapter.diagnosis(small, base, shape=lab.data.shape, prediction="why_not_13_times", answer=main_reason)

# %% [markdown]
# Then choose batch 64, and look again: which reasons are gone? At batch 1 the rest of the 13 is lost in layers so small
# that no kernel reaches its full speed in them: compare their times with their multiplications in the picture.
#
# **Explain one bar.** Write your explanation of the bar that surprised you most
# into the field above: one sentence that names what takes the time. It is kept in your journal.

# %% [markdown]
# ## 6. The budget
#
# Make the network **at least 2 times faster** in ONNX Runtime at batch 1, its **file at most 600 kB**, and lose **at most 2
# points** of accuracy, with the neurons removed. The measured values count, not the ends of their intervals. No hints;
# several recipes meet it.

# %%
from efflab.budget import ShippedBudget

budget = ShippedBudget(n_bytes=600_000, times_faster=2, lost=0.02)

# %% tags=["student-only"]
recipe = (step(zero_neurons, ratio=0.5), step(fine_tune, epochs=1))  # change it until the budget is met
chapter.judge(lab, recipe, budget)

# %% tags=["solution-only"]
recipe = (step(zero_neurons, ratio=0.8), step(fine_tune, epochs=6))
chapter.judge(lab, recipe, budget)

# %% [markdown]
# ## 7. The paper beside you
#
# Han and others timed sparse layers on a processor of 2014, when they designed a chip for them (2016, arXiv 1602.01528).
# Three of their layers, as single matrices, are below: dense against CSR, *compressed sparse rows*, which is what the
# state *encoded* uses. Press **Measure this CPU**, which takes about twenty seconds. Then run the next cell; before that,
# it has only the cited rows.

# %%
from efflab.measure.grid import Grid

sizes, sparsities = ((600, 4096), (1000, 4096), (4096, 4096)), (0.75, 0.9)
layers = Grid(layouts=("csr",), sizes=sizes, batches=(1, 64), sparsities=sparsities)
yours = chapter.break_even(grid=layers, start={"size": "1000x4096", "sparsity": 0.75})
yours

# %%
chapter.paper("eie2016", yours)

# %% [markdown]
# Times are microseconds for one input. In the paper, sparse wins at batch 1 and loses at batch 64. Does yours? Compare row
# by row. There are reasons to differ: another processor, other kernels, and one thread here, where the paper seems to give
# the dense kernel several. With *no measurable difference* a ratio means nothing. (The largest of their layers, Alex-6, is
# left out here for its 151 MB.)

# %% [markdown]
# ## 8. Three questions

# %%
chapter.quiz("is_it_faster")

# %%
chapter.quiz("zipped")

# %%
chapter.quiz("batch_and_sparse")

# %% [markdown]
# ## What to remember
#
# - Zeros make nothing smaller until they are encoded, and nothing faster until a kernel skips them or shapes shrink.
# - A speed belongs to a machine, a runtime, a batch and a number of threads, and it has a noise floor.
# - What was multiplied less is an upper bound of what is gained: the call, the memory and the kernel take their part.
#
# At work: [ONNX Runtime's performance guide](https://onnxruntime.ai/docs/performance/) for profiling what you ship.
#
# That was the chapter. Whoever has more time goes further below, in any order. **Next:**
# [03 Weight pruning](03_weight_pruning.ipynb).

# %% [markdown]
# ## Going further
#
# Four ideas, each by itself. Of the cells above they need only the first one.

# %% [markdown]
# ### What a matrix really needs (5 minutes)
#
# The size of the state *encoded* depends on the encoding. For $n$ weights of which $k$ are not zero:
#
# | encoding | bytes |
# |---|---|
# | dense | $4n$ |
# | bit mask | $4k$, and one bit for each of the $n$ places, in whole bytes |
# | compressed sparse rows (CSR) | $4k + 2k + 4(\text{rows} + 1)$ |
#
# In CSR a value takes 4 bytes, its column 2, the start of a row 4. Write `packed_bytes(rows, columns, kept)`: the smallest
# of the three.
#
# <details><summary>Hint</summary>
#
# There are `rows * columns` places. `-(-n // 8)` divides by 8 and rounds up. `min(a, b, c)` takes the smallest.
#
# </details>


# %%
def packed_bytes(rows, columns, kept):
    """Bytes of a matrix with `kept` non-zeros in the smallest of three encodings."""
    # --- solution
    n = rows * columns
    dense, mask = 4 * n, 4 * kept + -(-n // 8)
    csr = 6 * kept + 4 * (rows + 1)
    return min(dense, mask, csr)
    # --- stub
    # >>> raise NotImplementedError("write me")
    # --- end


# %%
chapter.check("packed_bytes", packed_bytes)

# %% [markdown]
# (The file in section 1 was larger than this: kernels want 4 bytes for a column, not 2.)

# %% [markdown]
# ### The break-even (15 minutes)
#
# A sparse kernel skips zeros, and pays for it with each number that is left. So there is a share of zeros from which on
# it is faster, the **break-even**. Predict it for one layer of this machine; then find it: move the slider, and
# look for a point that is faster, and one at most ten points below it that is not. Or press **Measure this CPU**, which
# takes about a minute. Besides CSR there is *BSR*, which leaves out whole blocks of zeros, here of 4 x 4.

# %%
explorer = chapter.break_even(prediction="break_even", at={"layout": "csr", "size": "1024x1024", "batch": "1"})
explorer

# %% [markdown]
# Now batch 64, and the other sizes: how far does the break-even move on your processor?

# %% [markdown]
# Write `break_even_sparsity(sparsities, ratios)`: the smallest sparsity from which on the sparse kernel is faster at each
# one that was measured. A ratio is its time over that of the dense kernel. `None` if it is not faster even at the last.
#
# <details><summary>Hint</summary>
#
# Go from the largest sparsity down, as long as the ratio is below 1, and remember the last one that was.
#
# </details>


# %%
def break_even_sparsity(sparsities, ratios):
    """The sparsity from which on all ratios are below 1, or None. Both lists: in rising order of sparsity."""
    # --- solution
    answer = None
    for sparsity, ratio in zip(reversed(sparsities), reversed(ratios), strict=True):
        if ratio >= 1:
            break
        answer = sparsity
    return answer
    # --- stub
    # >>> raise NotImplementedError("write me")
    # --- end


# %%
chapter.check("break_even_sparsity", break_even_sparsity)

# %% [markdown]
# What was measured on this machine of this layer: pairs of sparsity and ratio. Put your function to it:
# `break_even_sparsity(*zip(*own))`. If it does not agree with the explorer: for your function a ratio of 0.98 is
# faster, for the explorer it lies inside the noise floor.

# %%
from efflab.measure.kept_points import read_points

points = [
    point for point in read_points().content or () if point.layout == "csr" and point.rows == point.columns == 1024
]
for batch in (1, 64):
    own = sorted((point.sparsity, round(point.speed.ratio, 2)) for point in points if point.speed.batch == batch)
    print(f"batch {batch}:", own or "not measured yet: the explorer above does it")

# %% [markdown]
# ### Zeros anywhere (5 minutes)
#
# Here the smallest *weights* go, wherever they lie, as in chapter 03. The share of zeros at 90 % is about the same as above. Which
# state can no longer help, and why?

# %%
from efflab import prune_weights

chapter.states(lab, technique=prune_weights, controls=("sparsity", "batch"), start={"sparsity": 0.9})

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# *Removed* cuts off next to nothing: hardly a neuron has lost all of its weights. So zeros that lie anywhere depend on a
# sparse kernel, and on being many. In return they cost much less accuracy: look at the tile.
#
# </details>

# %% [markdown]
# ### Your own network (10 minutes)
#
# Nothing here is made for the networks of this course. Put in a network of your own, if its forward pass takes one image
# tensor; what cannot be done with it is said in a sentence. Here it is an untrained one.

# %%
from torch import nn

from efflab import prune

mine = nn.Sequential(nn.Flatten(), nn.Linear(784, 2000), nn.ReLU(), nn.Linear(2000, 10))
my_small = prune.remove_neurons(prune.zero_neurons(mine, ratio=0.75))
chapter.diagnosis(my_small, mine, shape=(1, 28, 28))

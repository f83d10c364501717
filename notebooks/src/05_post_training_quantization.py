# %% [markdown]
# # 05 Post-training quantization
#
# **After this chapter you can** put the weights and activations of a trained network onto grids of a few bits, say how many
# bits are really stored, choose who shares a scale, and tell when fewer bits are faster and when they are only smaller.
#
# 50 minutes, and 55 more for those who go further, in the last part. You need chapter [00](00_start_here.ipynb), and to
# have trained one network before. Chapter [06](06_quantization_aware_training.ipynb) goes on where rounding fails.

# %% [markdown]
# ## 1. One knob
#
# A weight is stored as a float of 32 bits. On a **grid** of b bits there are at most 2^b numbers, equally far apart, and
# each weight goes to the nearest one. The network below reads scattered handwriting; its batch norms were folded into the
# convolutions before them, as a runtime does. Make two predictions, then move the slider to exactly 4 bits and wait
# until all is measured. The second prediction gets its answer here, the first one in section 2.
#
# <details><summary>What this lab looks like when it runs (it gives the answer away)</summary>
#
# ![The bench: on the left a slider at 4 bits, on the right three tiles (size, speed, accuracy), below them the accuracy over
# the bits, and a tab in which the few numbers of the grid stand below the weights](pictures/05_bench.png)
#
# </details>

# %% tags=["demo"]
from efflab import Lab, fold_batch_norms, quantize_weights, step
from efflab.widgets import Chapter

chapter = Chapter("05")
chapter.predict("time_of_few_bits")

# %% tags=["demo"]
lab = Lab.open("cnn-scattered").after((step(fold_batch_norms),))
chapter.bench(
    lab,
    quantize_weights,
    controls=("bits",),
    start={"bits": 8},
    recover=None,
    prediction="accuracy_at_4",
    at={"bits": 4},
)

# %% [markdown]
# Three things to try:
#
# - The tab **grid** shows the weights of a layer, and below them the numbers of its grid. Choose a layer and one channel, and
#   go down from 8 bits. At how many bits do most weights end at 0?
# - The tab **layers** says how much of each layer is noise, in decibels. How many decibels does a bit cost?
# - Press **Reveal the curve**. Where does it break, and how suddenly? And why is 1 bit better than 2?
#
# <details><summary>What you should have seen</summary>
#
# Down to 4 bits little happens, and below 3 the network breaks. At 2 bits there are the numbers -s, 0 and s, and s is the largest
# weight of the filter: nearly all others are closer to 0, and are gone. At 1 bit there are only -s and s, and s is their mean
# magnitude, as nothing else would make sense with two numbers. It is the choice of s that breaks 2 bits; section 3 makes a
# better one.
#
# </details>

# %% [markdown]
# ## 2. How it works
#
# A grid is two numbers: the **scale** is the step from one number to the next, and the **zero point** is the integer that
# stands for 0.0. Stored is the integer; the network computes with the value that it stands for:
#
# $$\text{integer} = \text{clamp}\left(\text{round}\left(\frac{x}{\text{scale}}\right) + \text{zero point}\right)
# \qquad\qquad \text{value} = (\text{integer} - \text{zero point}) \cdot \text{scale}$$
#
# These are the functions of the package, with their checks; the lines that count are those with `round` and, below, the last
# one:

# %%
from efflab.quantize import dequantize, quantize

chapter.source(quantize)

# %%
chapter.source(dequantize)

# %% [markdown]
# Weights are about symmetric, so their zero point is 0 and one integer is left out: with 4 bits there are the integers -7 to 7,
# and the largest magnitude of a channel becomes 7. These are four weights of the first layer, their integers, and the values
# that the network computes with:

# %%
few = lab.build((step(quantize_weights, bits=4),)).conv1
before = lab.build(()).conv1.weight[0].flatten()[:4]
print("weights ", [round(w, 3) for w in before.tolist()], "  scale", round(few.scale[0].item(), 3))
print("integers", few.integers()[0].flatten()[:4].tolist())
print("values  ", [round(w, 3) for w in few.weight[0].flatten()[:4].tolist()])

# %% [markdown]
# ### Exercise: onto the grid
#
# Write `quantize(x, bits)`: the integers of a tensor on a symmetric grid with one scale, as a tensor of type int64. The
# largest magnitude gets the largest integer, 2^(bits - 1) - 1.
#
# <details><summary>Hint</summary>
#
# First the scale: the largest magnitude divided by the largest integer. `x.abs().max()` is the first, and `.round()` goes to
# the nearest integer, and `.to(torch.int64)` makes it one.
#
# </details>

# %%
import torch


def quantize(x, bits):
    """The integers of x on a symmetric grid. x: (any shape), float -> same shape, int64."""
    # --- solution
    scale = x.abs().max() / (2 ** (bits - 1) - 1)
    return (x / scale).round().to(torch.int64)
    # --- stub
    # >>> raise NotImplementedError("write me")
    # --- end


# %%
chapter.check("quantize", quantize)

# %% [markdown]
# Fewer bits make a smaller file, and do they make a faster network? Here is the bench once more, with your first prediction.
# Leave it alone until the tile **speed** is measured, and look at the tile **size**: what is *computed* there (packed as
# tightly as one can: the integers side by side, as few bits as they have, or only those that are not zero and a bit for each
# place) and what is *measured* (the file that ONNX Runtime reads).

# %%
from efflab.widgets.answers import speed_class

chapter.bench(
    lab,
    quantize_weights,
    controls=("bits",),
    start={"bits": 8},
    recover=None,
    prediction="time_of_few_bits",
    answer=speed_class,
)

# %% [markdown]
# This is **simulated** quantization: the weights lie on the grid, and the arithmetic is done with floats. Section 5 makes it
# real.

# %% [markdown]
# ## 3. Two knobs that compete: bits, or scales
#
# Who shares a scale? All weights of a **tensor**, those of each **channel** (what makes one output), or small **groups** of
# inputs. The fewer share one, the closer the grid fits, and the more scales are stored. Predict, then set *granularity* to
# "per group" and bits to exactly 4; then compare the three at 4 bits and at 3.

# %%
from efflab.widgets.answers_in_bits import bits_stored

chapter.bench(
    lab,
    quantize_weights,
    controls=("bits", "granularity", "observer"),
    start={"bits": 4, "granularity": "per tensor"},
    recover=None,
    prediction="bits_stored",
    at={"bits": 4, "granularity": "per group"},
    answer=bits_stored,
)

# %% [markdown]
# - The tab **bytes** divides each layer into integers, scales and biases. Which layer pays most for its scales?
# - The third control is the **observer**: it says from where to where the grid reaches. Go to 2 bits, per channel, and compare
#   *min-max*, which clips nothing, with *MSE*, which clips a few weights so that the others get smaller steps.
#
# <details><summary>What you should have seen</summary>
#
# At 4 bits the three are near each other. At 3 bits one scale for a tensor loses much, for after folding the channels
# have different ranges. Groups do best and store one more bit for each weight: 3 bits in groups cost as much as 4 bits per
# channel. (The file shows nothing of that: ONNX Runtime has no kernel for convolutions in groups, so their weights are floats
# there.) At 2 bits clipping is worth more than anything else. *MSE* finds the s that fits most weights; *percentile* clips one
# weight in a thousand, which is too few to help.
#
# </details>

# %% [markdown]
# ## 4. What a layer reads
#
# To multiply integers, a kernel needs them on both sides: what a layer reads, its **activations**, must lie on a grid too.
# They are known only when an image comes. So the network looks at some images first, 200 here, an observer notes what each
# layer reads, and the grid is fixed from then on. This is **calibration**. Activations after a ReLU are never negative, so
# their grid is *affine*: the zero point moves.
#
# ### Exercise: scale and zero point
#
# Write `scale_and_zero_point(low, high, bits)` for a grid of the integers 0 to 2^bits - 1 that reaches from `low` to `high`.
# 0.0 must be on the grid, so a range without zero is widened first. The result: the scale, and the integer that stands for
# 0.0.
#
# <details><summary>Hint</summary>
#
# Between n integers there are n - 1 steps. The zero point is how many steps 0.0 lies above `low`, rounded to a whole number.
#
# </details>


# %%
def scale_and_zero_point(low, high, bits):
    """The step and the integer of zero for a grid from low to high. Three numbers -> two."""
    # --- solution
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / (2**bits - 1)
    return scale, round(-low / scale)
    # --- stub
    # >>> raise NotImplementedError("write me")
    # --- end


# %%
chapter.check("scale_and_zero_point", scale_and_zero_point)

# %% [markdown]
# Now predict, and then try all four observers at exactly 4 bits; the answer comes once all four were seen. The weights have 8
# bits meanwhile, which costs next to nothing.

# %%
from efflab import quantize_activations
from efflab.widgets.answers_in_bits import worst_observer

chapter.bench(
    lab,
    quantize_activations,
    controls=("bits", "observer"),
    start={"bits": 4},
    then=(step(quantize_weights),),
    recover=None,
    prediction="worst_observer",
    at={"bits": 4},
    answer=worst_observer,
)

# %% [markdown]
# The tab **activations** shows what a layer reads, before and after its grid. Look at `conv1`, which reads the image. And
# look at the tile **speed** at 8 bits and at 7: only one of them has a kernel.
#
# <details><summary>What you should have seen</summary>
#
# Three of them end within a point of each other. *Entropy* clips a good part of the image: most pixels are background, and
# with 16 numbers the shape of the histogram is kept best by spending them all on the background. The digits are the
# bright pixels, and they are cut off. At 8 bits there are numbers enough for both. A rule that was made for one width need not
# hold at another: look at the accuracy.
#
# </details>

# %% [markdown]
# ## 5. Real integers
#
# Weights and activations have 8 bits, and now both are integers in the file: ONNX Runtime multiplies integers and adds
# them up in 32 bits. The scales are those that you have seen; nothing is calibrated again. This is a larger network, with 64,
# 128 and 256 filters. Predict; then all six ways to run it are written, weighed, timed beside the float file, and judged by what
# the files answer.

# %%
from efflab.widgets.answers_in_bits import faster_in_integers

large = Lab.open("cnn64-scattered").after((step(fold_batch_norms),))
chapter.kernels(large, prediction="faster_in_integers", answer=faster_in_integers)

# %% [markdown]
# *int8 weights* are the files of section 2. *int8 dynamic* finds a grid for the activations in each run, and *int4 blocks* have
# groups of 32 weights with 4 bits each; both are for linear layers, and this network has one small one. The last two are the
# same thing twice: our scales, and those that ONNX Runtime's own quantizer finds.
#
# How much it helps depends on the layers. Here are 16, 32 and 64 filters, and sums of two branches, which stay float:

# %%
chapter.kernels(Lab.open("resnet8-scattered").after((step(fold_batch_norms),)))

# %% [markdown]
# <details><summary>What you should have seen, and why</summary>
#
# With 64 filters and more, integers are faster by a factor of 2 to 3 on processors with the instructions for it (VNNI on
# Intel and AMD, dot products on ARM); without them it is less. With 16 to 64 filters it is about 1.5: between the layers
# numbers must be put onto grids, which costs the same however few multiplications there are, and the sums are computed
# with floats. And integers in the file alone make the network slower, for they become floats before each run.
#
# </details>

# %% [markdown]
# ## 6. The budget
#
# Bring the first network, 381 kB of floats with its batch norms, **under 25 kB packed**, and lose **at most 0.5 points** of accuracy.
# Rounding alone does not get there. All techniques of chapters 03 to 05 are allowed, training too, and *learned rounding* from
# the end of this page: going to the nearest number is not all that rounding can do. Training wants the batch norms, so fold
# them after it. No hints; more than one recipe meets it, and most take a minute or two.

# %%
from efflab import learn_rounding, prune_gradually, prune_weights
from efflab.budget import PackedBudget

budget, whole = PackedBudget(n_bytes=25_000, lost=0.005), Lab.open("cnn-scattered")

# %% tags=["student-only"]
rounding = step(quantize_weights, bits={"conv1": 8, "conv2": 3, "conv3": 3, "output": 8})
recipe = (step(prune_weights, sparsity=0.3), step(fold_batch_norms), rounding)  # change it until the budget is met
chapter.judge(whole, recipe, budget)

# %% tags=["solution-only"]
pruning = step(prune_gradually, sparsity=0.7, epochs=10, learning_rate=0.01)
recipe = (pruning, step(fold_batch_norms), step(learn_rounding, bits=3, observer="MSE"))
chapter.judge(whole, recipe, budget)

# %% [markdown]
# ## 7. The paper beside you
#
# MobileNetV2 on ImageNet, as PyTorch's tutorial on static quantization lists it: one scale for each tensor with the range
# from the smallest to the largest value, then one for each channel with ranges from histograms, and the same network
# trained on its grid, which is what chapter 06 does.

# %%
chapter.paper("quantization_tutorial")

# %% [markdown]
# Set the bench of section 3 to 8 bits and compare *per tensor* with *per channel*: you lose nothing where they lose 15
# points. Two reasons. Your network has three ordinary convolutions; theirs has many *depthwise* ones, with 9 weights for each
# channel, and folding spreads their ranges far apart. And ten digits are further apart than a thousand kinds of things.

# %% [markdown]
# ## 8. Three questions

# %%
chapter.quiz("fake_is_slow")

# %%
chapter.quiz("why_per_channel")

# %%
chapter.quiz("small_file_same_time")

# %% [markdown]
# ## What to remember
#
# - A grid is a scale and a zero point. Halving the step costs a bit, and a bit brings 6 decibels.
# - Small groups fit better and store more scales: count them. At few bits, clip.
# - Fewer bits make a file smaller. Only integers on both sides, and a kernel for them, make it faster.
#
# At work: the quantizer of your runtime, such as
# [ONNX Runtime's](https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
#
# That was the chapter. Whoever has more time goes further below, in any order.

# %% [markdown]
# ## Going further
#
# Five ideas, each by itself. Of the cells above they need only those in section 1.

# %% [markdown]
# ### Bits for each layer (15 minutes)
#
# Layers differ in how much they mind. Tick *one for each layer* below the slider, and find bits for each that bring
# the network under 40 kB. Then let the lab choose: it measures the noise that each layer makes in the answers, alone, and
# spends the bytes where they help most.

# %%
chapter.bench(lab, quantize_weights, controls=("bits",), start={"bits": 4}, recover=None)

# %%
bits = lab.allocate_bits(40_000)
mixed = lab.preview((step(quantize_weights, bits=bits),))
print(bits, f"{mixed.size.packed_bytes:,} bytes packed (computed)", mixed.evaluation, "(measured)")

# %% [markdown]
# ### Up or down (10 minutes)
#
# The nearest number is best for the weight, not for the sum. *Learned rounding* decides for each weight between the number
# above and the one below, so that the outputs of its layer stay (Nagel and others 2020, arXiv 2004.10568). It looks at
# images without their labels, for a few seconds a layer. Compare it at 3 bits with the nearest number.

# %%
from efflab import learn_rounding

chapter.bench(lab, learn_rounding, controls=("bits",), start={"bits": 3}, recover=None)

# %% [markdown]
# ### One scale for all channels, after all (10 minutes)
#
# A channel may be scaled down where it is made and up where it is read: a ReLU lets the factor through. *Equalisation* gives
# each channel the same range on both sides (Nagel and others 2019, arXiv 1906.04721). *Bias correction* then brings back the
# means that rounding moved. Both were made for one scale for each tensor. Neither helps always: what does the first do here
# alone, and what with the second?

# %%
from efflab import correct_biases, equalize

per_tensor = step(quantize_weights, bits=3, granularity="per tensor")
for recipe in ((per_tensor,), (step(equalize), per_tensor), (step(equalize), per_tensor, step(correct_biases))):
    print([one.technique.label for one in recipe], lab.preview(recipe).evaluation)

# %% [markdown]
# ### One large column (10 minutes)
#
# In language models a few activations are a hundred times larger than the others, always in the same places. Here one is
# *planted* into a stack of linear layers: a channel of activations is multiplied by a factor and its weights are divided by it,
# so that the float answers are as before. What do 8 bits make of it? *Mixed* computes the large columns in floats and all
# others as integers (Dettmers and others 2022, arXiv 2208.07339).

# %%
from torch import Generator, randn

from efflab import models
from efflab.quantize import scan_outliers

block = models.build("vit", shape=lab.data.shape, seed=0).block1
x = block.norm2(randn(64, block.hidden.in_features, generator=Generator().manual_seed(0)))
found = scan_outliers(x, block.hidden, block.output)
print("error of the answers, as a fraction of them, by the factor of the planted channel")
print("factor    ", *(f"{factor:>8g}" for factor in found.factors))
for way, errors in found.errors.items():
    print(f"{way:10}", *(f"{error:8.1%}" for error in errors))
print(f"mixed: {max(found.n_float)} of {found.n_columns} columns in floats")

# %% [markdown]
# ### Sums that do not fit (10 minutes)
#
# Processors with AVX2 and without VNNI add two products at a time in 16 bits, where the largest sums do not fit: they
# **saturate**, silently. This is *simulated* here, in exact integers, on the activations of the large network: which layer gets
# wrong sums with weights of 8 bits, and what do 7 bits change? (ONNX Runtime calls that `reduce_range`.)

# %%
from efflab import quantize_activations
from efflab.measure.machine import describe_machine
from efflab.quantize import may_saturate, simulate_saturation

large = Lab.open("cnn64-scattered").after((step(fold_batch_norms),))
for bits in (8, 7):
    model = large.build((step(quantize_weights, bits=bits), step(quantize_activations)))
    for one in simulate_saturation(model, large.data.calibration.images[:100]):
        print(f"{bits} bits, {one.layer:7} {one.sums:6.1%} of the sums are wrong, by {one.error:5.1%} (simulated)")
print("does it happen on this machine?", may_saturate(describe_machine()))

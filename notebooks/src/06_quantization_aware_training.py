# %% [markdown]
# # 06 Quantization-aware training
#
# **After this chapter you can** train a network on the few numbers that it will have, say why its gradients arrive at all,
# decide when training is worth its time, and check that what is shipped is what was trained.
#
# 45 minutes, and 45 more for those who go further, in the last part. You need chapter
# [05](05_post_training_quantization.ipynb): grids, scales, and who shares one. Each training takes half a minute to a minute;
# read on meanwhile.

# %% [markdown]
# ## 1. One knob
#
# Chapter 05 ended where rounding fails. Here is that place: 2 bits, which are the numbers -1, 0 and 1 times a step of each
# filter. Look at the accuracy, and at the tab **grid**: where did the weights go? Then set the observer to *MSE*, which
# chooses a smaller step and clips. It is the best that rounding to the nearest does here. (Its packed bytes are more,
# because fewer of its weights are zeros, which pack well.)

# %% tags=["demo"]
from efflab import Lab, fold_batch_norms, quantize_weights, step, train_quantized
from efflab.widgets import Chapter

chapter = Chapter("06")
lab = Lab.open("cnn-scattered").after((step(fold_batch_norms),))
chapter.bench(lab, quantize_weights, controls=("bits", "observer"), start={"bits": 2}, recover=None)

# %% [markdown]
# Can training save it? The next bench begins with the steps of *MSE*, and trains while each layer computes with weights of 2
# bits and reads activations of 8 bits. Predict, then press **Run** with 2 bits and 3 epochs. The curve grows after each
# epoch; **Stop** keeps the best network so far.
#
# <details><summary>What this lab looks like when it ran (it gives the answer away)</summary>
#
# ![The bench: on the left sliders for bits and epochs and the button Run, on the right three tiles (size, speed, accuracy),
# below them the accuracy reached, the curve of the training, and a tab with the weights of a layer above the three numbers
# of their grid](pictures/06_bench.png)
#
# </details>

# %% tags=["demo"]
yours = chapter.bench(
    lab,
    train_quantized,
    controls=("bits", "epochs"),
    start={"bits": 2, "epochs": 3},
    recover=None,
    prediction="accuracy_at_2",
    at={"bits": 2, "epochs": 3},
)
yours

# %% [markdown]
# Three things to try:
#
# - How much came back in the first epoch, counted from what *MSE* had left? Press **Run** with 1 epoch, and compare the packed
#   bytes with those of *MSE*: did anything change?
# - The tab **layers** compares with the float network. Its outputs are far from those of the floats, and yet it
#   answers nearly as well. How can both be true?
# - Run 4 bits. What is there left for training to bring back?
#
# <details><summary>What you should have seen</summary>
#
# One epoch brings back most. The bytes hardly change: training chooses other values, not fewer. (It is faster than the floats, which the
# first bench was not, for here the activations lie on grids, too, so that integer kernels can run: chapter 05.) It does not look for the old
# network in the few numbers that there are, but for any network that answers well. At 4 bits rounding loses half a point with
# the steps of *MSE*, so that there is little to bring back.
#
# </details>

# %% [markdown]
# ## 2. How it works
#
# Training follows the gradient, and rounding has none. It is a staircase: move a weight a little, and the rounded
# weight stays where it is, so the gradient is 0 almost everywhere, and 0 times anything is 0. The **straight-through**
# estimator rounds on the way forward and pretends on the way back that it had not (Bengio and others 2013, arXiv
# 1308.3432):
#
# $$\hat x = s \cdot \mathrm{clamp}\left(\mathrm{round}\left(\tfrac{x}{s}\right)\right)
# \qquad\qquad \frac{\partial \hat x}{\partial x} := \begin{cases} 1 & \text{where nothing was clipped} \\
# 0 & \text{where it was} \end{cases}$$
#
# These are the lines of the package. `forward` is what chapter 05 did, `backward` is the pretending:

# %%
from efflab.quantize.aware.straight_through import StraightThrough

chapter.source(StraightThrough)

# %% [markdown]
# Four numbers on a grid of -0.5, 0 and 0.5. What arrives at them through `torch.round`, and what straight through?

# %%
import torch

from efflab.quantize import Grid, straight_through

x = torch.tensor([-0.9, -0.2, 0.3, 0.8], requires_grad=True)
(x / 0.5).round().sum().backward()
print("through torch.round", x.grad.tolist())

x.grad = None
on_grid = straight_through(x, torch.tensor(0.5), torch.tensor(0), Grid(bits=2))
on_grid.sum().backward()
print("straight through   ", x.grad.tolist(), " values", on_grid.tolist())

# %% [markdown]
# What the optimizer moves is a float *behind* each weight. It gathers steps that are too small to be seen on the grid, until
# the rounded weight jumps. Here is one weight that ought to become 1, on a grid with a step of 0.5:

# %%
weight = torch.tensor(0.1, requires_grad=True)
for _ in range(8):
    value = straight_through(weight, torch.tensor(0.5), torch.tensor(0), Grid(bits=3))
    (value - 1).square().backward()
    print(f"float {weight.item():.1f}   on the grid {value.item():.1f}   gradient {weight.grad.item():.0f}")
    with torch.no_grad():
        weight -= 0.1 * weight.grad
    weight.grad = None

# %% [markdown]
# In the end the floats are dropped, and the integers stay. Two things are settled before the training begins. The batch
# norms are **folded**, so that the weights that train are the weights that will be stored. And the **observers are frozen**:
# the grids of the activations are calibrated once and stay as they are, so that the training meets the very grids that the
# file will have.

# %% [markdown]
# ### Exercise: the gradient, straight through
#
# Write `ste_gradient(upstream, x, low, high)`. `x` was clipped to the range from `low` to `high` and rounded; `upstream` is the
# gradient of the loss for the result. Return the gradient for `x`, of the same shape. The ends of the range are inside.
#
# <details><summary>Hint</summary>
#
# A mask of True and False times a tensor of floats is that tensor with zeros where the mask is False.
#
# </details>


# %%
def ste_gradient(upstream, x, low, high):
    """The gradient for x. upstream, x: (any shape) -> same shape."""
    # --- solution
    is_inside = (x >= low) & (x <= high)
    return upstream * is_inside
    # --- stub
    # >>> raise NotImplementedError("write me")
    # --- end


# %%
chapter.check("ste_gradient", ste_gradient)

# %% [markdown]
# ## 3. Two knobs that compete: bits, or steps that learn
#
# So far each filter kept the step that it began with. With **LSQ**, for learned step size, the step is a parameter like the weights
# (Esser and others 2020, arXiv 1902.08153). Straight through the rounding, the product rule gives what a step does to
# a value on its grid of the integers from $-Q$ to $Q$:
#
# $$\hat v = s \cdot \mathrm{clamp}\left(\mathrm{round}\left(\tfrac{v}{s}\right), -Q, Q\right) \qquad\qquad \frac{\partial \hat v}{\partial s} =
# \mathrm{round}\left(\tfrac{v}{s}\right) - \tfrac{v}{s} \quad \text{inside,} \qquad \pm Q \quad \text{where it is clipped}$$
#
# All N weights of a filter pull at one step, so their sum is multiplied by $1 / \sqrt{N Q}$. Predict, then train both methods
# at 2 bits with 3 epochs; what ran in section 1 is there at once. The tab **journal** keeps the rows.

# %%
from efflab.widgets.answers_of_training import with_learned_steps

chapter.bench(
    lab,
    train_quantized,
    controls=("bits", "method", "epochs"),
    start={"bits": 2, "epochs": 3},
    recover=None,
    prediction="with_learned_steps",
    at={"bits": 2, "epochs": 3},
    answer=with_learned_steps,
)

# %% [markdown]
# Which would you rather have for the same file: one more bit, or steps that learn? Try 3 bits with 1 epoch, in both ways.
#
# <details><summary>What you should have seen</summary>
#
# The two methods are nearly the same here. Over five seeds LSQ was ahead by 0.2 to 0.3 points on average, at 4 bits as at 2,
# and the seeds of one method differ by more than that: one run of each decides nothing. The networks and the data of the paper leave less room at 2 bits, and its steps begin by a rule of thumb. One bit
# more is worth more than the method, and costs half of the bytes again.
#
# </details>

# %% [markdown]
# ### Exercise: what the step feels
#
# Write `step_gradient(v, step, last)`: for each weight, by how much its value on the grid changes with the step, the derivative
# above. The grid has the integers from `-last` to `last`, so `last` is Q. The result has the shape of `v`.
#
# <details><summary>Hint</summary>
#
# Count in steps first: `v / step`. Then there are two cases, and `torch.where(condition, a, b)` chooses between them. For a
# clipped weight, `clamp(-last, last)` gives the integer at which it ended.
#
# </details>


# %%
def step_gradient(v, step, last):
    """The derivative of the value on the grid for the step. v: (any shape) -> same shape."""
    # --- solution
    steps = v / step
    is_inside = steps.abs() < last
    return torch.where(is_inside, steps.round() - steps, steps.clamp(-last, last))
    # --- stub
    # >>> raise NotImplementedError("write me")
    # --- end


# %%
chapter.check("step_gradient", step_gradient)

# %% [markdown]
# ## 4. What is shipped
#
# In training the grid was simulated with floats. The file holds integers, and ONNX Runtime multiplies them with kernels of
# its own. That both answer alike is not self-evident: "the accuracy was lost at conversion" is a common complaint
# of those who train on grids. It happens when the file gets other grids than the training had: batch norms that are
# folded afterwards, ranges that moved on, a sum that is rounded in one and not in the other. Go back to your network of section
# 1 and look at the tile **accuracy**. It has two numbers: the simulated one, and that of **the file itself**, which was run on
# the same images, and on how many of them both answer alike. Do they agree?
#
# And the time? Two networks, one with weights of 8 bits and one with 2, both in integer kernels. Nothing is trained here, for the
# time does not depend on the values. Predict, then wait at 8 bits until the speed is measured, and at exactly 2 bits
# once more.

# %%
from efflab import quantize_activations
from efflab.widgets.answers_of_training import with_two_bits

chapter.bench(
    lab,
    quantize_weights,
    controls=("bits",),
    start={"bits": 8, "observer": "MSE"},
    then=(step(quantize_activations),),
    recover=None,
    prediction="time_of_two_bits",
    at={"observer": "MSE"},
    answer=with_two_bits,
)

# %% [markdown]
# So 2 bits save bytes: in the tile **size**, the packed ones (computed) and the zipped file (measured). The file that ONNX Runtime
# reads keeps each of them in a whole byte, and is as large as that of 8 bits. They would save time on hardware with
# arithmetic of 2 bits, or where the reading of the weights takes the time and a kernel unpacks them on the way.

# %% [markdown]
# ## 5. The budget
#
# Bring the first network, 381 kB of floats with its batch norms, **under 22 kB packed**, and lose **at most 1 point** of accuracy.
# With 2 bits for each weight it has 25 kB, however long it trains: something else has to give. All techniques of chapters 03 to 06
# are allowed. `train_quantized` folds the batch norms itself, so cut before it, while they are there. No hints; several recipes
# meet it. The training runs when the cell runs, in the background, for about a minute.

# %%
from efflab import fine_tune, prune_filters, prune_weights
from efflab.budget import PackedBudget

budget, whole = PackedBudget(n_bytes=22_000, lost=0.01), Lab.open("cnn-scattered")

# %% tags=["student-only"]
recipe = (
    step(prune_weights, sparsity=0.3),
    step(train_quantized, bits=2, epochs=3),
)  # change it until the budget is met
chapter.judge(whole, recipe, budget)

# %% tags=["solution-only"]
learn = step(train_quantized, bits=2, method="LSQ", epochs=5)
recipe = (step(prune_filters, ratio=0.1), step(fine_tune, epochs=3), learn)
chapter.judge(whole, recipe, budget)

# %% [markdown]
# ## 6. The paper beside you
#
# MobileNetV2 on ImageNet, as PyTorch's tutorial on static quantization lists it, with 8 bits: rounded in two ways, and trained
# on its grid. When your network of section 1 is trained, run the cell again: your row is the last one.

# %%
chapter.paper("quantization_tutorial", yours)

# %% [markdown]
# They need training at 8 bits, and you at 2. The more a network is made for few multiplications, the less it has to spare:
# MobileNetV2 has many layers with 9 weights for each channel, and a thousand classes to tell apart. What is the
# same is the order: rounding, then better scales, then training, each one dearer and closer to the floats than the one
# before.

# %% [markdown]
# ## 7. Three questions

# %%
chapter.quiz("nothing_moves")

# %%
chapter.quiz("lost_at_conversion")

# %%
chapter.quiz("why_not_start_here")

# %% [markdown]
# ## What to remember
#
# - Rounding has no gradient; training pretends that it had one, and stops it only where values were clipped.
# - Round first, with good steps, and measure. Training pays where rounding fails, and costs data and time.
# - Train on the grids that you ship, then judge the file. Weights of 2 bits in kernels of 8 bits save bytes, not time.
#
# At work: [quantization-aware training in torchao](https://docs.pytorch.org/ao/stable/workflows/qat.html).
#
# That was the chapter. Whoever has more time goes further below, in any order.

# %% [markdown]
# ## Going further
#
# Four ideas, each by itself. Of the cells above they need only the first one.

# %% [markdown]
# ### One bit (10 minutes)
#
# On a grid of 1 bit a weight is minus a step or plus a step; there is no zero, and the step is the mean magnitude of the filter
# (Rastegari and others 2016, arXiv 1603.05279). That halves the bytes of 2 bits. How far below 2 bits do you expect it to end?
# Then press **Run**, and try 10 epochs, too. (Papers leave the first and the last layer more bits. Here they have 1 bit; tick *one for
# each layer* to change that.)

# %%
chapter.bench(lab, train_quantized, controls=("bits", "epochs"), start={"bits": 1, "epochs": 3}, recover=None)

# %% [markdown]
# ### Without labels (10 minutes)
#
# Training needs images with labels, and a minute. Learned rounding (chapter 05, *Up or down*) only decides for each weight
# between two neighbours on the grid, from 500 images without labels. Press **Run** at 2 bits, with the observer *MSE*. How near
# does it come to the training of section 1, and when would you choose it?

# %%
from efflab import learn_rounding

chapter.bench(lab, learn_rounding, controls=("bits", "observer"), start={"bits": 2, "observer": "MSE"}, recover=None)

# %% [markdown]
# ### Pruned and quantized (10 minutes)
#
# Zeros lie on every symmetric grid, and training here leaves them zero. So both savings add up: below, half of the weights
# are gone before the training begins. (They go before the batch norms are folded: folding scales each filter by its own
# factor, and then the smallest weights are no longer the least important ones.) Look at the packed bytes in the tile **size**, and
# run 4 bits and 2. At 2 bits, a zero is one of three values anyway: do the zeros still pay?

# %%
from efflab import prune_weights

pruned = Lab.open("cnn-scattered").after((step(prune_weights, sparsity=0.5), step(fold_batch_norms)))
chapter.bench(pruned, train_quantized, controls=("bits", "epochs"), start={"bits": 4, "epochs": 2}, recover=None)

# %% [markdown]
# ### Your own network (15 minutes)
#
# `train_quantized` takes any network with linear layers or convolutions. This one has learned nothing yet: can a network
# learn on a grid from the start? Press **Run**, then compare with 8 bits. Put your own network in the place of `mine`, and
# your own images in that of `lab.data` (`efflab.data.from_arrays(images, labels)`).

# %%
from torch import manual_seed, nn

manual_seed(0)
mine = nn.Sequential(
    nn.Conv2d(1, 16, 5, stride=2, padding=2),
    nn.ReLU(),
    nn.Conv2d(16, 32, 5, stride=2, padding=2),
    nn.ReLU(),
    nn.Flatten(),
    nn.LazyLinear(10),
)
mine(lab.data.validation.images[:1])  # the last layer sees how wide it must be
own = Lab(mine, lab.data, name="mine")
chapter.bench(own, train_quantized, controls=("bits", "epochs"), start={"bits": 2, "epochs": 3}, recover=None)

# %% [markdown]
# # 03 Weight pruning
#
# **After this chapter you can** say how many weights of a network can go, remove them, repair what broke, and explain
# what this does, and does not do, to the size and the speed.
#
# 50 minutes, and 35 more for those who go further, in the last part. You need chapter [00](00_start_here.ipynb), and to
# have trained one network before.

# %% [markdown]
# ## 1. One knob
#
# The network below reads handwriting that was turned, scaled and shifted on a canvas with clutter and noise.
# **Pruning** sets its smallest weights to zero. Make two predictions first. The answer to the one on speed comes in
# section 6; for the other, move the slider to exactly 80 % (the arrow keys move it by one).
#
# <details><summary>What this lab looks like when it runs (it gives the answer away)</summary>
#
# ![The bench: on the left a slider at 80 %, on the right three tiles (size, speed, accuracy), below them the curve of
# accuracy over the weights removed, and tabs for layers, weights, changed images, code and
# journal](pictures/03_bench.png)
#
# </details>

# %% tags=["demo"]
from efflab import Lab, prune_weights
from efflab.widgets import Chapter

chapter = Chapter("03")
chapter.predict("faster_at_90")

# %% tags=["demo"]
lab = Lab.open("lenet5-scattered")
chapter.bench(
    lab,
    prune_weights,
    controls=("sparsity",),
    start={"sparsity": 0.0},
    recover=None,
    prediction="accuracy_at_80",
    at={"sparsity": 0.8},
)

# %% [markdown]
# Three things to try:
#
# - Where does the accuracy begin to fall? Press **Reveal the curve** when you have a guess.
# - Open the tab **changed images** at 90 %, and in it *Accuracy of each class*. Which digits suffer most?
# - The tile *size* has three pairs of numbers: packed, file and zipped. They disagree. Section 6 says why.

# %% [markdown]
# ## 2. How it works
#
# The *score* of a weight is its magnitude, $|w|$. To reach sparsity $s$ with $n$ weights, the
# $\mathrm{round}(s \cdot n)$ lowest scores go:
#
# $$m_i = \begin{cases} 0 & \text{if } |w_i| \text{ is among the } \mathrm{round}(s \cdot n) \text{ smallest} \\
# 1 & \text{otherwise} \end{cases} \qquad w_i \leftarrow m_i \, w_i$$
#
# This is the function that did it, as it stands in the package:

# %%
from efflab.prune import keep_largest

chapter.source(keep_largest)

# %% [markdown]
# It finds the largest score that still goes (`last`), and of the weights that have just this score it takes only as many
# as are needed: with a threshold alone, equal weights would all go or all stay. The $m_i$ of a layer are its **mask**:
# the tab **weights** of the bench above draws it.

# %% [markdown]
# ## 3. Two knobs that compete
#
# Where do weights compete to stay? **Global**: all layers in one ranking. **Per layer**: each layer gives the same
# share. Go to 80 % and switch between the two. Then, back at global, choose the **random** criterion: is it the *number*
# of weights that counts, or *which* ones?
#
# <details><summary>What you should have seen</summary>
#
# *Which* ones: as many random weights fewer, and the network guesses. The small layers suffer from **per layer**: they
# give the same share as the large one, which has many weights to spare.
#
# </details>

# %%
chapter.bench(lab, prune_weights, controls=("sparsity", "scope", "criterion"), start={"sparsity": 0.7}, recover=None)

# %% [markdown]
# ## 4. Why layers differ
#
# Prune one layer alone, and leave the others whole. Which one costs the most? Lock in your prediction, then press
# **Prune each layer alone** in the tab *layers*.

# %%
from efflab.widgets.answers import steepest_layer

chapter.bench(
    lab, prune_weights, controls=("sparsity",), recover=None, prediction="layer_that_suffers", answer=steepest_layer
)

# %% [markdown]
# The first layer has 500 weights, and each is used at every place of the picture: what is wrong there reaches all that
# follows. The hidden layer has 400,000, each used once, and many to spare.

# %% [markdown]
# ## 5. Repair: fine-tuning
#
# Train the weights that are left, and leave the zeros at zero. At 90 %, look at the accuracy, then press **Fine tune**:
# three epochs, about half a minute. The curve is drawn while it trains; **Stop** keeps the best network so far. The
# controls wait until it has ended.

# %%
chapter.bench(lab, prune_weights, controls=("sparsity", "scope"), start={"sparsity": 0.9})

# %% [markdown]
# Why must something hold the zeros? The gradient of a weight is made of its input and of the error behind it, so a weight
# of zero gets one like any other: without a mask, the first step of training would fill every hole. This is one step of
# the training. Look at its last lines only: `masked_fill_` sets the removed weights to zero again.

# %%
from efflab.training.loop import take_step

chapter.source(take_step)

# %% [markdown]
# ## 6. Smaller, but faster?
#
# 90 % of the weights are zero. How long does the network take now, in a runtime that people use? You said it in section 1;
# here is the answer once it is timed.

# %%
from efflab.widgets.answers import speed_class

chapter.bench(
    lab,
    prune_weights,
    controls=("sparsity",),
    start={"sparsity": 0.9},
    recover=None,
    prediction="faster_at_90",
    answer=speed_class,
)

# %% [markdown]
# The file has the same size, too: a zero is a number of four bytes like any other. It takes an **encoding** to save
# bytes, and that has a price of its own. For $n$ weights of which $k$ are not zero:
#
# | encoding | bytes |
# |---|---|
# | dense | $4n$ |
# | bit mask | $4k + n/8$ |
# | compressed sparse rows (CSR) | $4k + 2k + 4(\text{rows} + 1)$ |
#
# A value takes 4 bytes, a column number 2, the start of a row 4. *Packed* in the tile is the smallest of the three, layer
# by layer; *zipped* is what a general compressor makes of the file. From the table, which is computed with these formulas:
# when does CSR beat the bit mask? The example is a layer of 300 x 784 weights.

# %%
import pandas as pd

from efflab.measure.size import bitmask_bytes, csr_bytes

rows, columns = 300, 784
n = rows * columns
table = pd.DataFrame({"kept (%)": [100, 50, 20, 10, 5, 2, 1]})
kept = [n * percent // 100 for percent in table["kept (%)"]]
table["dense bytes"] = 4 * n
table["bit mask bytes"] = [bitmask_bytes(n, k) for k in kept]
table["CSR bytes"] = [csr_bytes(rows, columns, k) for k in kept]
table.style.format(thousands=",").hide(axis="index")

# %% [markdown]
# <details><summary>The answer</summary>
#
# CSR pays 2 bytes for each weight that is left, the mask one bit for each that ever was: below $n/16$, about 6 %, CSR is
# smaller. Its row starts are too few to matter here.
#
# </details>

# %% [markdown]
# ## 7. Exercise: the mask
#
# Write `magnitude_mask(weight, sparsity)`. It returns a bool tensor of the shape of `weight`, `True` where a weight is
# kept. Exactly `round(sparsity * n)` weights are removed, those with the smallest magnitude.
#
# <details><summary>Hint</summary>
#
# `weight.abs().flatten().argsort()` gives the positions from the smallest magnitude to the largest. Start from a mask
# that is `True` everywhere, and set the first positions to `False`.
#
# </details>

# %%
import torch


def magnitude_mask(weight, sparsity):
    """True where a weight stays. weight: any shape -> same shape, bool."""
    # --- solution
    n_removed = round(sparsity * weight.numel())
    mask = torch.ones(weight.numel(), dtype=torch.bool)
    mask[weight.abs().flatten().argsort()[:n_removed]] = False
    return mask.reshape(weight.shape)
    # --- stub
    # >>> raise NotImplementedError("write me")
    # --- end


# %%
chapter.check("magnitude_mask", magnitude_mask)

# %% [markdown]
# ## 8. The budget
#
# **At most 10 % of the weights, and at most 1 point of accuracy lost**, as measured. No hints; many recipes meet it. How
# far below 10 % can you go? A recipe is a tuple of steps; try one with the bench of section 5, whose tab *code* has it
# ready to paste.

# %%
from efflab import Budget, fine_tune, step

budget = Budget(kept=0.10, lost=0.01)

# %% tags=["student-only"]
recipe = (step(prune_weights, sparsity=0.5), step(fine_tune, epochs=1))  # change it until the budget is met
chapter.judge(lab, recipe, budget)

# %% tags=["solution-only"]
recipe = (step(prune_weights, sparsity=0.9), step(fine_tune, epochs=3))
chapter.judge(lab, recipe, budget)

# %% [markdown]
# ## 9. The paper beside you
#
# Han and others pruned LeNet-300-100 on MNIST in 2015 (arXiv 1506.02626), in rounds: remove some weights, train, remove
# more. Here the same kind of network is pruned in the same way, with MNIST if it lies in your data folder, else with the
# 8x8 digits. Press **Run**.

# %%
from efflab import data, prune_iteratively

paper_lab = Lab.open("mlp-mnist" if data.is_available("mnist") else "mlp-digits")
yours = chapter.bench(
    paper_lab,
    prune_iteratively,
    controls=("sparsity", "rounds", "epochs"),
    start={"sparsity": 0.9, "rounds": 5, "epochs": 10},
    recover=None,
)
yours

# %% [markdown]
# When it has run, execute this cell: your row, *measured*, is the last, below those of the paper, which are *cited*.
# Before the run it is not there. Raise the rounds and the epochs if your error is far above your reference.

# %%
chapter.paper("han2015", yours)

# %% [markdown]
# Why they differ: the 8x8 digits are 897 training images where MNIST has 60,000, and 64 inputs where MNIST has 784, most
# of them always empty, so that their weights cost nothing: your network has 50,610 parameters, theirs 267,000 (biases
# count too; they are never pruned). The paper trained for many more rounds. And its error is on 10,000 test images, yours
# on 360 of validation, where one image is 0.3 points: if your pruned network is better than your reference, look at the
# interval in the tile. The test is opened once, at the end, by the button that says so.

# %% [markdown]
# ## 10. Three questions

# %%
chapter.quiz("zeros_in_training")

# %%
chapter.quiz("why_global")

# %%
chapter.quiz("file_size")

# %% [markdown]
# ## What to remember
#
# - Most weights of a trained network can go, the smallest first; layers differ in how much they can spare.
# - Fine-tuning with the mask kept repairs most of what a cut breaks.
# - Zeros save bytes once they are encoded. They save no time in a dense runtime: for that, shapes must shrink
#   (chapter 04).
#
# At work: [`torch.nn.utils.prune`](https://docs.pytorch.org/docs/stable/nn.html#module-torch.nn.utils) for masks.
#
# That was the chapter. Whoever has more time goes further below, in any order.

# %% [markdown]
# ## Going further
#
# Three ideas, each by itself. Of the cells above they need only those in section 1.

# %% [markdown]
# ### A sparsity for each layer (10 minutes)
#
# Tick **one for each layer** and give each its own sparsity. The sentence at the bottom says the total. Can you beat the
# global ranking at a total of 90 %? **Reveal the curve** draws that ranking.

# %%
chapter.bench(lab, prune_weights, controls=("sparsity",), start={"sparsity": 0.9}, recover=None)

# %% [markdown]
# ### A little at a time (15 minutes)
#
# Instead of cutting once, cut while the network trains: fast at first, while the weights that go matter little, then
# slower (Zhu and Gupta 2017, arXiv 1710.01878). After $t$ of $n$ steps, on the way to the sparsity $s$, it is
#
# $$s_t = s \left(1 - \left(1 - \frac{t}{n}\right)^3\right)$$
#
# Write it.
#
# <details><summary>Hint</summary>
#
# `step / n_steps` is what is done. What is *left* is one minus that; the cube is of what is left.
#
# </details>


# %%
def cubic_sparsity(step, n_steps, final):
    """The sparsity after `step` of `n_steps`, from 0 to `final`."""
    # --- solution
    return final * (1 - (1 - step / n_steps) ** 3)
    # --- stub
    # >>> raise NotImplementedError("write me")
    # --- end


# %%
chapter.check("cubic_sparsity", cubic_sparsity)

# %% [markdown]
# Now at work: the network trains while its weights go. Set *epochs* to 3, press **Run**, and compare with one cut and
# three epochs of fine-tuning at the same 95 %, in section 5. Then give it 6 epochs, about a minute.

# %%
from efflab import prune_gradually

chapter.bench(lab, prune_gradually, controls=("sparsity", "epochs"), start={"sparsity": 0.95}, recover=None)

# %% [markdown]
# ### The lottery ticket (10 minutes)
#
# Train a network, keep only the mask, and **rewind**: give the weights that are left the values that they had before
# the training. Does such a *ticket* learn as well as the whole network did? As a control, start the same mask from
# other **random** weights (Frankle and Carbin 2019, arXiv 1803.03635). Press **Run** with *restart* at rewind, then
# with random. The chart shows both trainings of a run, one after the other: first the whole network, then the ticket.

# %%
from efflab import train_ticket

digits = Lab.open("mlp-digits")
chapter.bench(
    digits,
    train_ticket,
    controls=("sparsity", "restart", "epochs"),
    start={"sparsity": 0.9, "epochs": 20},
    recover=None,
)

# %% [markdown]
# Compare three scores: the whole network's, at the end of the first half of the chart; the rewound ticket's; the random
# one's. Where two intervals overlap, the honest answer is "no clear difference here". The ticket may well stay below the
# whole network: the paper removes a fifth at a time, in many rounds, and here all goes at once. With few epochs both
# tickets fail, for they start from untrained weights. The seed of the lab is fixed, so `Lab.open(..., seed=1)` gives you another draw.

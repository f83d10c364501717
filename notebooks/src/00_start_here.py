# %% [markdown]
# # 00 Start here
#
# **After this chapter you can** run a lab on this laptop, read its numbers, and check an exercise.
#
# 10 to 15 minutes. You need nothing but Python, and to have trained one network before.

# %% [markdown]
# ## What the course is about
#
# Neural networks are often larger and slower than they need to be. Here you make real ones smaller and
# faster, and watch what it costs: **size**, **speed** and **accuracy** move while you drag a slider. All of
# it runs on this laptop, and nothing is sent or fetched. You can unplug the network now.

# %% [markdown]
# ## 1. Does everything work here?
#
# Click the cell below and press **Shift + Enter**. It trains, exports and runs a tiny network, and looks at
# the clock, the memory and the disk. It takes a few seconds. What is not ok says what to do.

# %%
from efflab.cli.doctor import examine

examine()

# %% [markdown]
# The last line is for your teacher, if something does not work. It holds versions and the verdict, and
# nothing about you. In a terminal, `efflab doctor` says the same.

# %% [markdown]
# ## 2. How a chapter works
#
# Every chapter has the same steps:
#
# 1. **Predict.** You say what you expect *before* you see it. A wrong guess is worth more than none: it shows
#    you what to look at. Nobody counts it. *Skip* is there.
# 2. **Move** one control, and say what you saw.
# 3. **Read** how it works: a few lines of the code that ran.
# 4. **Write** a few lines yourself, and check them.
# 5. **Meet a budget**, such as "under 20 kB, at least 95 %". Many answers are right.
#
# Your predictions, answers and runs are kept in a **journal** on this laptop. They are still there tomorrow,
# also after a crash.

# %% [markdown]
# ## 3. Your first lab
#
# A lab holds two things: a trained network, and data to judge it with. This network reads handwritten digits of 8 by
# 8 pixels.

# %% tags=["demo"]
from efflab import Lab, prune_weights, step
from efflab.widgets import Chapter

chapter = Chapter("00")
lab = Lab.open("mlp-digits")
lab.data

# %% [markdown]
# The images are divided into three parts: to **train** on, to **validate** (choose) on, and to **test** on,
# once, at the end. What you see while you move a control is always measured on the second part.
#
# **Pruning** sets weights to zero, those closest to zero first. Before you try: what do you expect? The controls
# unlock when you have locked in a prediction or skipped it.
#
# Then move the slider to 50 %, and on to the right end. The keyboard works as well: click the handle, then use the
# arrow keys.
#
# <details><summary>What this lab looks like when it runs (it gives the answer away)</summary>
#
# ![The bench: on the left a slider at 50 %, on the right three tiles (size, speed, accuracy), below them the curve of
# accuracy over the weights removed, and tabs for layers, weights, changed images, code and
# journal](pictures/00_bench.png)
#
# </details>

# %% tags=["demo"]
chapter.bench(
    lab,
    prune_weights,
    controls=("sparsity",),
    start={"sparsity": 0.0},
    recover=None,
    prediction="accuracy_at_50",
    at={"sparsity": 0.5},
)

# %% [markdown]
# **What did you see?** Two things to look for:
#
# - Where does the accuracy begin to fall?
# - Which of the three tiles did *not* move? Chapter 03 says why.

# %% [markdown]
# ## 4. Where a number comes from
#
# Every number carries a badge:
#
# | badge | it was |
# |---|---|
# | **measured** | timed, evaluated or weighed here, now |
# | **computed** | worked out by a formula; click the badge to see it |
# | **estimated** | worked out from an assumption that you can change |
# | **cited** | read in a paper, which is named |

# %%
chapter.quiz("badges")

# %% [markdown]
# ## 5. Without the widget
#
# Whatever a widget does, a line of Python does too. This is what the lab ran for you at 50 %:

# %%
preview = lab.preview((step(prune_weights, sparsity=0.5),))
preview.evaluation

# %% [markdown]
# `prune_weights` takes a network and returns a new one; the old one stays as it is. The tab **code** in the
# lab shows the call for wherever the slider stands.

# %%
pruned = prune_weights(lab.build(()), sparsity=0.5)
weight = next(pruned.parameters())
weight.shape

# %% [markdown]
# ## 6. Your first exercise
#
# Write `share_of_zeros(weight)`: the share of the weights that are exactly zero, from 0 to 1, as a Python
# number.
#
# Run the cell, then the one below it, as often as you like.
#
# <details><summary>Hint</summary>
#
# `weight == 0` is a tensor of `True` and `False`. As numbers (`.float()`) they are 1 and 0, and their mean is
# the share. `.item()` makes a Python number of it.
#
# </details>


# %%
def share_of_zeros(weight):
    """The share of the weights that are exactly zero. weight: any shape."""
    # --- solution
    return (weight == 0).float().mean().item()
    # --- stub
    # >>> raise NotImplementedError("write me")
    # --- end


# %%
chapter.check("share_of_zeros", share_of_zeros)

# %% [markdown]
# You asked for 50 %, and the first layer may well have more or fewer zeros: the 50 % hold for the whole
# network. Try `share_of_zeros(weight)` when your function passes.

# %% tags=["solution-only"]
share_of_zeros(weight)

# %% [markdown] tags=["solution-only"]
# **For the teacher.** Which layers give more than their share depends on the network: chapter 03 looks at
# each layer. The usual mistakes in this exercise are the count instead of the share, percent instead of a
# fraction, and the share that is left.

# %% [markdown]
# ## What to remember
#
# - Predict first, then move, then say what you saw.
# - The badge tells whether a number was measured, computed, estimated or cited.
# - Everything stays on this laptop, and your journal keeps what you did.
#
# **Next:** [03 Weight pruning](03_weight_pruning.ipynb). At work, start with the profiler of your own
# framework: measure before you make anything smaller.

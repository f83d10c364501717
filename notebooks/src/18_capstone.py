# %% [markdown]
# # 18 Capstone: the budget
#
# **After this chapter you can** put techniques into an order and see what each step did, pick the runs that no other beats, and meet
# a budget of bytes, time and accuracy - and say how far your own numbers hold.
#
# 50 minutes for the first two budgets. The third has no end: it is the best that a search of ours has found, and it may be beaten. You need
# chapters [03](03_weight_pruning.ipynb), [05](05_post_training_quantization.ipynb) and [08](08_distilling_predictions.ipynb);
# [07](07_deep_compression.ipynb) helps.

# %% [markdown]
# ## 1. Does the order matter?
#
# The network is the ResNet-8 of the course, trained on `scattered`: handwritten digits on a canvas of 28 x 28 points, with clutter and
# noise. Two steps. One sets half of the weights to zero, the smallest ones of the whole network. The other folds each batch norm into the
# convolution before it, which changes no answer: the network computes the same with fewer numbers. Below they stand in one order. Predict
# what the other order gives, then press **Up** on the second step.
#
# <details><summary>What this lab looks like when it runs (it gives the answer away)</summary>
#
# ![The recipe bench: on the left two steps with their sliders and buttons, on the right three tiles (size, speed, accuracy), and a
# picture of what each step did to bytes, time and accuracy](pictures/18_recipe.png)
#
# </details>

# %% tags=["demo"]
from efflab import Lab, fold_batch_norms, prune_weights, step
from efflab.widgets import Chapter

chapter = Chapter("18")
lab = Lab.open("resnet8-scattered")
fold, half = step(fold_batch_norms), step(prune_weights, sparsity=0.5)
chapter.recipe_bench(lab, (half, fold), prediction="fold_first", at=(fold, half))

# %% [markdown]
# Three things to try:
#
# - The picture shows what the recipe has come to after each step: bytes and time beside the base, accuracy beside the step
#   before. Which step cost the accuracy?
# - Open **More settings** of the pruning, and set its scope to *per layer*. Which order is better now?
# - Switch the folding off, and look at the bytes. What does it save?
#
# <details><summary>What you should have seen</summary>
#
# Smallest of the whole network: pruned first, 91.6 % are right; folded first, 55.9 %. Smallest of each layer: pruned first, 64.8 %; folded
# first, 75.9 %. So neither order is the right one. Folding multiplies each filter by a number that the batch norm has learned, and
# these numbers differ from layer to layer: afterwards another weight is a small one. Who ranks the whole network ranks those numbers,
# too. Folding saves 2.9 kB of floats, for each channel of a batch norm has four numbers, and one is left.
#
# </details>

# %% [markdown]
# ## 2. How it works
#
# A recipe is a tuple of steps, and a step is a technique with its settings. To run it is to hand each step what the one before
# has made:

# %%
from efflab.recipe import run

chapter.source(run)

# %% [markdown]
# The bench runs every beginning of a recipe: nothing, the first step, the first two. A beginning that ran before is kept, so tuning
# the last step does not train the first one again.
#
# You will make many runs. Which of them are worth keeping? A run **beats** another if it is better in accuracy or in cost, and not worse in
# the other. Those that no run beats are the **Pareto front**: who wants fewer bytes than one of them has to give accuracy.

# %% [markdown]
# ## 3. Two knobs that compete
#
# Zeros and few bits both save bytes, and both cost accuracy. Nothing is trained here, so everything follows your hand. Come **below 35 kB
# packed** and lose as little as you can: with more zeros, or with fewer bits?

# %%
from efflab import share_weights

chapter.recipe_bench(lab, (step(prune_weights, sparsity=0.0), fold, step(share_weights, bits=6)))

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# | sparsity | bits | bytes packed (computed) | accuracy (measured, validation) |
# |---|---|---|---|
# | 0 | 3 | 30,606 | 95.5 % |
# | 0.2 | 3 | 34,464 | 97.2 % |
# | 0.4 | 4 | 34,781 | 96.5 % |
# | 0.5 | 5 | 36,386 | 90.6 % |
#
# A little of both is better than much of one. With 3 bits, 20 % of zeros even *win* accuracy: zero is one more value then, beside the eight
# of the codebook, and the eight are free for the larger weights. But these zeros *cost* bytes: 30.6 kB without, 34.5 kB with them. Each saves an
# index of three bits, and each weight that is left needs to say where it stands.
#
# </details>

# %% [markdown]
# ## 4. Exercise: the front
#
# Write `pareto_front(points)`. Each point is a pair `(score, cost)`, higher scores and lower costs are better. Give back the places of the points
# that no other beats, the cheapest first; equal points do not beat each other.
#
# <details><summary>Hint</summary>
#
# First write when `a` beats `b`: not worse in both, and not equal. Then keep the places that nobody beats, and sort them by cost.
#
# </details>


# %%
def pareto_front(points):
    """The places of the points (score, cost) that no other beats, the cheapest first."""

    # --- solution
    def beats(a, b):
        return a[0] >= b[0] and a[1] <= b[1] and a != b

    free = [i for i, point in enumerate(points) if not any(beats(other, point) for other in points)]
    return sorted(free, key=lambda i: points[i][1])
    # --- stub
    # >>> raise NotImplementedError("write me")
    # --- end


# %%
chapter.check("pareto_front", pareto_front)

# %% [markdown]
# ## 5. Your bench
#
# Begin with nothing, and build. The menus *Topic* and *Technique* have all techniques of the course. *start student* takes another network in place of
# the given one; a step that trains waits for **Run**. Every recipe that ran to its end is written into your journal. Before you believe a
# small difference, press **Run with 3 seeds**: the same recipe from other random numbers, each a point, and the interval of their mean.

# %%
chapter.recipe_bench(lab)

# %% [markdown]
# The scoreboard shows your runs of all chapters; **Read again** takes the new ones. Click a point for its recipe, its seed and its code.

# %%
chapter.scoreboard()

# %% [markdown]
# ## 6. Three budgets
#
# No hints. Choose a run of yours and hand it in. Its recipe then runs **again, from the start**, with its seed, and what comes out
# is judged: a number that somebody typed counts for nothing. That takes as long as the first time.
#
# ### 20 kB
#
# At most **20,000 bytes packed**, computed, with all that has to be stored; and at most **1 point** of accuracy lost. The network of this
# chapter needs 312,552 bytes.

# %%
from efflab.budget import DeployedBudget, PackedBudget, Record, RecordBudget

small = chapter.hand_in("under_20_kb", lab, PackedBudget(20_000, lost=0.01))
small

# %% tags=["solution-only"]
from efflab import prune_gradually, train_centroids

sparse = step(prune_gradually, sparsity=0.8, epochs=3)
small.run_and_hand_in((sparse, fold, step(share_weights, bits=4), step(train_centroids, epochs=1)))

# %% [markdown]
# ### 20 kB and 0.2 ms
#
# Now a device. The **ONNX file** has at most **20,000 bytes**, weighed; **8 images take at most 0.2 ms**, timed here on one thread; and at most
# **4 points** are lost by what the file answers. Packed bytes do not count: this is a file that a runtime reads today. On another laptop the
# same network takes another time: a device does not ask how slow your machine is. The benches time one image; eight are timed when you hand in. An
# untrained student has the bytes and the time of a trained one, so both can be tried in seconds: switch the training off.

# %%
device = chapter.hand_in("under_20_kb_and_02_ms", lab, DeployedBudget(20_000, ms=0.2, lost=0.04, batch=8))
device

# %% tags=["solution-only"]
from efflab import distill_predictions, quantize_activations, quantize_weights, start_student

learn = step(distill_predictions, epochs=20, learning_rate=0.01)
device.run_and_hand_in(
    (
        *(step(start_student, kind="cnn", width=11), learn, fold),
        *(step(quantize_weights, bits=8), step(quantize_activations, bits=8)),
    )
)

# %% [markdown]
# ### The best point on the front
#
# We let a program search: it drew recipes below 20 kB by chance, trained them for a little, and the better ones for longer. Its best one,
# with five seeds, is below. Be as good: at most **20,000 bytes packed** with each of **three seeds**, and on average at least the low end of
# what its seeds leave open. One lucky run is not enough. When you hand in, three trainings run.

# %%
record = Record.load()
print(f"{record.n_tried} recipes tried; the best: {100 * record.mean:.2f} % over {len(record.scores)} seeds, ", end="")
print(f"95 % interval {100 * record.low:.2f} to {100 * record.high:.2f}, measured on validation data")
best = chapter.hand_in("best_under_20_kb", lab, RecordBudget.of(record))
best

# %% tags=["solution-only"]
# What the search found. Handed in, it trains for some minutes with each of three seeds: best.run_and_hand_in(record.recipe)
print(*record.recipe, sep="\n")

# %% [markdown]
# ## 7. Test once
#
# All this was chosen on validation data, and the more runs you compare, the more of your best score is luck. So choose **one** run, the one
# that you would ship. Where it still stands in a bench above, press **Open the test set** there; else the scoreboard opens it in a bench, where it
# runs once more. It says how much better the validation looked, with an interval, and the journal writes down that you opened it: your report shows it. With 2,000 images a single difference is
# good to about a point, so it may well be chance.

# %% [markdown]
# ## 8. The paper beside you
#
# MLPerf Tiny is where makers of small chips compare themselves. Its network for images is the one of this chapter, ResNet-8, for
# small photographs in colour, with weights and activations of 8 bits. Below it, the same on your machine: the file as floats and the file with
# integers, both weighed, and what the second one answers.

# %%
from efflab import quantize_activations, quantize_weights

whole = chapter.recipe_bench(lab, (fold, step(quantize_weights, bits=8), step(quantize_activations, bits=8)))
whole

# %%
chapter.paper("banbury2021", whole)

# %% [markdown]
# Your two files are nearly as large as theirs, which have three channels of colour at the entrance where yours has one. The accuracies are
# not to be compared: theirs is what the benchmark asks for, on photographs, and ours is reached on digits.

# %% [markdown]
# ## 9. Three questions

# %%
chapter.quiz("which_to_ship")

# %%
chapter.quiz("best_of_sixty")

# %%
chapter.quiz("why_slower")

# %% [markdown]
# ## What to remember
#
# - There is no order that is always right. Look at what each step did, and ask which numbers it ranks.
# - Only the runs that no other beats are worth a second look, and only with the same data, batch and machine.
# - Choose on validation data, say how many seeds, open the test once.
#
# At work: [Optuna](https://optuna.readthedocs.io) searches settings, with more patience than a hand.

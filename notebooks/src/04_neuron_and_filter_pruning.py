# %% [markdown]
# # 04 Neuron and filter pruning
#
# **After this chapter you can** cut whole filters and neurons out of a network, say which layers must lose them together,
# repair what broke, and tell how much of what is saved will show on the clock.
#
# 50 minutes, and 50 more for those who go further, in the last part. You need chapter [00](00_start_here.ipynb), and to
# have trained one network before. Chapter [03](03_weight_pruning.ipynb) sets single weights to zero; here shapes shrink.

# %% [markdown]
# ## 1. One knob
#
# The network below reads scattered handwriting with three convolutions of 64, 128 and 256 **filters**. Each filter makes one
# **channel**, a picture that the next layer reads. The slider cuts out of each convolution the filters with the smallest
# weights, together with all that belongs to them. Make two predictions, then move the slider to exactly 50 % (the arrow
# keys move it by one) and wait until all is measured. The second prediction gets its answer here; the answer to the first
# is in the tile *speed*, and section 2 puts it beside what you said.
#
# <details><summary>What this lab looks like when it runs (it gives the answer away)</summary>
#
# ![The bench: on the left a slider at 50 %, on the right three tiles (size, speed, accuracy), below them the curve of
# accuracy over the filters removed, and a tab in which each layer is a block as wide as it has
# channels](pictures/04_bench.png)
#
# </details>

# %% tags=["demo"]
from efflab import Lab, prune_filters
from efflab.widgets import Chapter

chapter = Chapter("04")
chapter.predict("macs_at_50")

# %% tags=["demo"]
lab = Lab.open("cnn64-scattered")
chapter.bench(
    lab,
    prune_filters,
    controls=("ratio",),
    start={"ratio": 0.0},
    recover=None,
    prediction="accuracy_at_50",
    at={"ratio": 0.5},
)

# %% [markdown]
# Three things to try:
#
# - The tab **network** draws each layer as a block, as wide as it has channels. Which layer keeps its width, and why?
# - The tab **filters** shows the filters of one layer, the most important first; a filter that goes is drawn pale, with a
#   cross. How far apart are the scores below the first that goes and the last that stays?
# - Press **Reveal the curve**. In chapter 03, 80 % of the weights could go. Why does this curve bend so much earlier?
#
# At some places the smaller network is not faster, or even slower. That is no mistake of the measurement: section 5 says
# why.

# %% [markdown]
# ## 2. How it works
#
# A filter is a *row* of the weights of its layer. Whoever reads its channel has a *column* for it, and the batch norm
# between the two has a scale and a shift for it. All of these go. The weights before and after:

# %%
from efflab import step

base, small = lab.build(()), lab.build((step(prune_filters, ratio=0.5),))
for name, weight in base.named_parameters():
    print(f"{name:16}", tuple(weight.shape), "->", tuple(small.get_parameter(name).shape))

# %% [markdown]
# A convolution multiplies, for each image,
#
# $$\text{MACs} = c_{\text{out}} \cdot c_{\text{in}} \cdot k^2 \cdot h \cdot w$$
#
# times: for each pixel of the output, each filter goes over all channels that it reads. (A **MAC** is a multiplication and
# the addition that comes with it.) Which filters go? Those with the smallest *score*, here the sum of magnitudes of their
# weights (Li and others 2017, arXiv 1608.08710). It is this function of the package:

# %%
from efflab.prune.structure import l1

chapter.source(l1)

# %% [markdown]
# A **neuron** of a linear layer is the same thing without pixels: a row of the matrix before it, and a column of the matrix
# after it. Here 90 % of the hidden neurons of the network of chapter 02 go:

# %%
from efflab import prune_neurons

linear = Lab.open("mlp-scattered")
fewer = linear.build((step(prune_neurons, ratio=0.9),))
for name, weight in linear.build(()).named_parameters():
    if weight.ndim == 2:
        print(f"{name:16}", tuple(weight.shape), "->", tuple(fewer.get_parameter(name).shape))

# %% [markdown]
# Back to filters: the bench once more, with a second control. Set the slider to exactly 50 % to get the answer to your first prediction. Then
# choose the form **zeroed**: the same filters are set to zero, but nothing is cut out. Compare accuracy, multiplications,
# file and time.

# %%
from efflab.widgets.answers import macs_left

chapter.bench(
    lab,
    prune_filters,
    controls=("ratio", "form"),
    start={"ratio": 0.3},
    recover=None,
    prediction="macs_at_50",
    at={"ratio": 0.5, "form": "removed"},
    answer=macs_left,
)

# %% [markdown]
# ## 3. What must go together
#
# In a chain of layers, each convolution decides alone. The next network is no chain. It is residual: a first convolution,
# `conv1`, then three blocks of two convolutions each, and each block adds its output to its input, or to a **shortcut**
# convolution of its input. Without the batch norms, block 1 is
#
# $$y = \mathrm{relu}\big(x + \mathrm{block1.conv2}(\mathrm{relu}(\mathrm{block1.conv1}(x)))\big)$$
#
# Predict, then open the tab **network** and point at a block, or choose a group above the picture: the layers that lose
# the same channels stay strong.

# %%
from efflab.widgets.answers import tied_to_first

residual = Lab.open("resnet8-scattered")
chapter.bench(
    residual,
    prune_filters,
    controls=("ratio",),
    start={"ratio": 0.5},
    recover=None,
    prediction="goes_with_conv1",
    answer=tied_to_first,
)

# %% [markdown]
# Layers that lose their channels together are a **dependency group** (Fang and others 2023, arXiv 2301.12900). The package
# finds them by following each channel from layer to layer. This prints them, with the side on which each layer holds
# the channels: it makes them, reads them, or hands them on:

# %%
from efflab.prune.structure import groups

for group in groups(residual.build(()), residual.data.shape):
    print(group.name, f"({group.size} channels)", group.frozen)
    print("   made by", group.layers("out"), "handed on by", group.layers("through"))
    print("   read by", group.layers("in"))

# %% [markdown]
# ### Exercise: the group of a sum
#
# Write `layers_together(layer, sums)`. `sums` are pairs of layers whose outputs are added. The result: the names of all
# layers that must lose the same filters as `layer`, itself included, sorted.
#
# <details><summary>Hint</summary>
#
# Begin with the set `{layer}`. For each pair that has a layer in the set, put both into it. A later pair may make an
# earlier one matter, so go over all pairs as often as there are pairs. `set & set` is what two sets have in common.
#
# </details>


# %%
def layers_together(layer, sums):
    """The sorted names of the layers that lose the same filters. sums: a list of pairs of names."""
    # --- solution
    group = {layer}
    for _ in sums:
        for pair in sums:
            if group & set(pair):
                group |= set(pair)
    return sorted(group)
    # --- stub
    # >>> raise NotImplementedError("write me")
    # --- end


# %%
chapter.check("layers_together", layers_together)

# %% [markdown]
# ## 4. Repair
#
# A cut hurts a network with batch norms more than it seems to deserve: they still shift and scale by the mean and the
# variance of sums that had more terms. Predict; then, at exactly 20 %, press **Recalibrate**, which only measures these
# means and variances anew, on 500 training images (Li and others 2020, arXiv 2007.02491).

# %%
from efflab import fine_tune, recalibrate
from efflab.widgets.answers import brought_back

chapter.bench(
    residual,
    prune_filters,
    controls=("ratio",),
    start={"ratio": 0.2},
    recover=(recalibrate, fine_tune),
    prediction="fresh_statistics",
    at={"ratio": 0.2},
    answer=brought_back,
)

# %% [markdown]
# Then press **Fine tune**: three epochs of training, about half a minute. It begins at the cut again, not at what
# *Recalibrate* left: in training, a batch norm renews its statistics anyway. Now press both at 40 %, one after the other.
# What does each of them bring back there?
#
# <details><summary>What you should have seen</summary>
#
# At 40 %, fresh statistics bring back little: what is missing went with the filters. Training brings back nearly all,
# for the filters that are left can learn to do the work of those that went.
#
# </details>

# %% [markdown]
# ## 5. Two knobs that compete: fewer channels, or a better number
#
# `ratio` says how many filters go. `multiple` keeps a few more, so that what stays is a multiple of it. Predict; then leave
# the slider at exactly 40 % until the speed is measured, and set `multiple` to 8 and wait once more. The tab **journal**
# keeps both rows. (The answer waits for calm: if the tile has a noise floor of more than 20 %, close other programs and
# press **Measure again** at both settings.)

# %%
from efflab.widgets.answers import with_a_multiple

chapter.bench(
    lab,
    prune_filters,
    controls=("ratio", "multiple"),
    start={"ratio": 0.4},
    batch=64,
    recover=None,
    prediction="multiple_of_8",
    at={"ratio": 0.4},
    answer=with_a_multiple,
)

# %% [markdown]
# <details><summary>Why?</summary>
#
# On processors by Intel and AMD, ONNX Runtime stores the channels of a picture in blocks as long as an instruction is wide:
# 8 numbers with AVX2, 16 with AVX-512. It has its fast convolutions for that order only, and fills it four channels at a
# time. A layer that reads 77 channels is computed in another, slower way; one that reads 78 as well; one that reads 80
# is fast. So a network that lost one filter in each layer may be slower than before. Press **Look where the time goes** in
# the tab **speed**, with `multiple` at 1: the reason is in the list, *channels in no block*. On another processor or in
# another runtime the steps lie elsewhere, so measure before you choose.
#
# </details>

# %% [markdown]
# ## 6. What arrives on the clock
#
# Back to the residual network, with 16, 32 and 64 filters. Half of them go, and 64 images are computed at a time. Predict;
# then move the slider to exactly 50 %.

# %%
from efflab.widgets.answers import times_faster

yours = chapter.bench(
    residual,
    prune_filters,
    controls=("ratio",),
    start={"ratio": 0.3},
    batch=64,
    recover=(recalibrate, fine_tune),
    prediction="faster_at_50",
    at={"ratio": 0.5},
    answer=times_faster,
)
yours

# %% [markdown]
# The tile *speed* has both: how many times fewer multiplications (computed), and how many times faster (measured). Three
# ways to look at the difference:
#
# - In the tab **speed**, press **Look where the time goes**: which reasons hold, and which layers take a larger part of the
#   time than of the multiplications?
# - In the tab **network**, press **Cut each group alone**. For each group, compare the circle (multiplications saved)
#   with the diamond (time saved). Where are they far apart?
# - At 30 % there are half as many multiplications. How much of that arrives here, and why?
#
# <details><summary>What you should have seen</summary>
#
# At 50 %, 8, 16 and 32 filters are left. Where an instruction works on 16 numbers, the layers with 8 leave half of it empty:
# they save three quarters of their multiplications and much less of their time. At 30 %, 11, 22 and 45 filters are
# left, and 22 and 45 fit into no block (section 5), so that next to nothing of the saving arrives. With instructions for 8
# numbers, the steps lie at other widths.
#
# </details>

# %% [markdown]
# ## 7. The budget
#
# Make the first network **at least 1.8 times faster** at 64 images a run, and lose **at most 1 point** of accuracy. The
# measured values count, not the ends of their intervals. No hints; many recipes meet it.

# %%
from efflab.budget import FasterBudget

budget = FasterBudget(times_faster=1.8, lost=0.01)

# %% tags=["student-only"]
recipe = (step(prune_filters, ratio=0.2), step(fine_tune, epochs=1))  # change it until the budget is met
chapter.judge(lab, recipe, budget)

# %% tags=["solution-only"]
tuned = step(fine_tune, epochs=4, learning_rate=0.01)
recipe = (step(prune_filters, ratio=0.4, multiple=8), step(recalibrate), tuned)
chapter.judge(lab, recipe, budget)

# %% [markdown]
# ## 8. The paper beside you
#
# Li and others cut filters by the sum of their magnitudes, and trained afterwards (2017, arXiv 1608.08710). In the bench
# of section 6, at 50 % and batch 64, press **Fine tune**. When it is trained and timed, run the next two cells: your row is
# the last one. (Without the training it has the error of the bare cut.) *Kept* is what is left of the parameters; (A) and
# (B) are two settings of the authors.

# %%
chapter.paper("li2017", yours)

# %% [markdown]
# The authors of Torch-Pruning, whose groups you saw in section 3, list accuracies and multiplications, and for one network
# also times on a graphics card, at 64 images a run:

# %%
chapter.paper("fang2023", yours)

# %% [markdown]
# Two things to compare. *How much could go*: their images have colours, their networks 16 to 110 layers, and these were
# trained on for many epochs; yours has eight layers, and three epochs to recover. Where the loss is small, look at the
# interval in the tile. *What arrived on the clock*: in their rows with a time, it shrank less than the multiplications.
# Does yours? Theirs is a graphics card and yours one thread of a processor.

# %% [markdown]
# ## 9. Three questions

# %%
chapter.quiz("zeroed_or_removed")

# %%
chapter.quiz("quarter_of_the_macs")

# %%
chapter.quiz("which_channel")

# %% [markdown]
# ## What to remember
#
# - A filter goes with its batch norm, with the columns of its readers, and with every layer that a sum ties to it.
# - Fresh batch-norm statistics take no training and bring a part back; training brings back most of what a cut broke.
# - Smaller shapes need no special kernel to be faster, but they get faster in steps, and between two steps sometimes
#   slower: choose widths that your runtime likes, and measure.
#
# At work: [Torch-Pruning](https://github.com/VainF/Torch-Pruning), for nearly any network.
#
# That was the chapter. Whoever has more time goes further below, in any order.

# %% [markdown]
# ## Going further
#
# Five ideas, each by itself. Of the cells above they need only those in section 1.

# %% [markdown]
# ### The columns that stay (10 minutes)
#
# Write `kept_columns(kept, n_pixels)`. A convolution makes channels of `n_pixels` pixels each; `flatten` puts them one
# channel after the other into a row, and a linear layer reads it. `kept` are the numbers of the channels that stay. The
# result: the numbers of the columns of the linear layer that stay, in order. Both are tensors of type int64.
#
# <details><summary>Hint</summary>
#
# Channel `c` begins at column `c * n_pixels`, and has the `n_pixels` columns from there on.
#
# </details>
#
# <details><summary>Another hint</summary>
#
# A column of numbers plus a row of numbers is a table, in torch too: `a[:, None] + b`. `flatten()` reads it row by row.
#
# </details>

# %%
import torch


def kept_columns(kept, n_pixels):
    """The columns that stay. kept: (n,) -> (n * n_pixels,), both int64."""
    # --- solution
    return (kept[:, None] * n_pixels + torch.arange(n_pixels)).flatten()
    # --- stub
    # >>> raise NotImplementedError("write me")
    # --- end


# %%
chapter.check("kept_columns", kept_columns)

# %% [markdown]
# ### What makes a filter important? (10 minutes)
#
# The sum of magnitudes looks at the weights only. *Taylor* estimates from images by how much the loss would change
# without the filter (Molchanov and others 2016, arXiv 1611.06440); *activation mean* asks how much it says; *batch norm
# scale*, by how much it is scaled; *l2* squares the weights before it adds them. *Random* is what each of them must beat,
# and not all of them do. With the scope *global*, all layers compete. Which pair is best at 30 %, before any training?

# %%
chapter.bench(
    lab, prune_filters, controls=("ratio", "importance", "scope"), start={"ratio": 0.3, "importance": "random"}
)

# %% [markdown]
# Fine-tune the best and the worst. How much of the difference is left after three epochs?

# %% [markdown]
# ### A budget in place of a ratio (10 minutes)
#
# At work the question is the other way round: at most so many multiplications, bytes or milliseconds. The lab tries
# settings, about seven of them, until it has the mildest one that meets the limit. (In the benches above, **Find the ratio
# for a budget** does the same.)

# %%
from efflab.lab.fitting import Limit

for limit in (Limit("MACs", 6_000_000), Limit("bytes", 400_000)):
    fit = lab.fit(prune_filters, "ratio", limit, multiple=8)
    print(limit, "->", fit.step, f"reaches {fit.reached:,}")

# %% [markdown]
# What would the multiplications of one layer be? Write `conv_macs(...)`: `removed_in` and `removed_out` are the fractions
# of its input channels and of its filters that go; of n channels `round(fraction * n)` go.
#
# <details><summary>Hint</summary>
#
# Begin with what is left on both sides: `n - round(fraction * n)`. Then use the formula of section 2.
#
# </details>


# %%
def conv_macs(c_in, c_out, kernel, height, width, removed_in, removed_out):
    """MACs for one image, after channels were removed. height, width: of the output, in pixels."""
    # --- solution
    left_in, left_out = c_in - round(removed_in * c_in), c_out - round(removed_out * c_out)
    return left_in * left_out * kernel * kernel * height * width
    # --- stub
    # >>> raise NotImplementedError("write me")
    # --- end


# %%
chapter.check("conv_macs", conv_macs)

# %% [markdown]
# ### Heads of a transformer (5 minutes)
#
# An attention **head** is a group like a filter: some rows of three layers and some columns of a fourth. Here is an image
# transformer with random weights, with half of its heads, beside itself. How much of the time do heads take?

# %%
from efflab import models, prune_heads

transformer = models.build("vit", shape=lab.data.shape)
fewer_heads = prune_heads(transformer, data=lab.data, ratio=0.5)
chapter.diagnosis(fewer_heads, transformer, shape=lab.data.shape)

# %% [markdown]
# ### Your own network (15 minutes)
#
# `prune_filters` takes any network with one input. What must stay is said with the reason. Here is one whose layers read
# *all* channels before them, put side by side; our own short rules do not follow that, and those of Torch-Pruning do.

# %%
from torch import cat, nn

from efflab import models
from efflab.prune.structure import find_groups


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 32, 3, padding=1), nn.Conv2d(32, 32, 3, padding=1)
        self.end = nn.Linear(64, 10)

    def forward(self, x):
        first = self.one(x).relu()
        return self.end(cat([first, self.two(first).relu()], 1).mean((2, 3)))


# %%
mine = Dense()
for rules in ("efflab", "torch-pruning"):
    print(rules)
    for group in find_groups(mine, lab.data.shape, rules):
        print("  ", group.name, group.size, group.frozen or "may go")

# %% [markdown]
# The smaller network is saved as plain numbers: its widths as JSON, its weights as safetensors, and nothing is ever
# unpickled. Put your own network in place of `Dense`.

# %%
import tempfile

my_small = prune_filters(mine, data=lab.data, ratio=0.5, rules="torch-pruning")
with tempfile.TemporaryDirectory() as folder:
    models.save_weights(my_small, f"{folder}/mine")
    again = models.load_weights(f"{folder}/mine", Dense())
print([tuple(weight.shape) for weight in again.parameters()])
chapter.diagnosis(my_small, mine, shape=lab.data.shape)

# %% [markdown]
# # 07 Deep Compression
#
# **After this chapter you can** let the weights of a layer share a few values, say what is stored for each weight that is
# left, write Huffman's code, and bring a network into a file a small part of its size, with all that the file needs
# counted.
#
# 50 minutes, and 50 more for those who go further, in the last part. You need chapter [00](00_start_here.ipynb), and to
# have trained one network before. Chapter [03](03_weight_pruning.ipynb) removes weights; here it is the first of three
# stages. Who has not read it needs two of its names, which section 6 explains.

# %% [markdown]
# ## 1. One knob
#
# How few different weights does a network need? In each layer of the one below, all weights share 2^b values. Stored is the
# list of the values, the **codebook**, and for each weight an **index** of b bits. The values are no grid: they lie where
# the weights are. Predict, then move the slider to exactly 2 bits.
#
# <details><summary>What this lab looks like when it runs (it gives the answer away)</summary>
#
# ![The bench: on the left a slider at 2 bits, on the right three tiles (size, speed, accuracy), below them the accuracy
# over the bits, and a tab with the layers](pictures/07_bench.png)
#
# </details>

# %% tags=["demo"]
from efflab import Lab, share_weights, step
from efflab.widgets import Chapter

chapter = Chapter("07")
lab = Lab.open("lenet5-scattered")
chapter.bench(
    lab,
    share_weights,
    controls=("bits",),
    start={"bits": 8},
    recover=None,
    prediction="accuracy_at_2",
    at={"bits": 2},
)

# %% [markdown]
# Three things to try:
#
# - Press **Reveal the curve**. Where does it bend, and how much do 5 bits cost?
# - The tab **weights** shows the weights of a layer; choose `hidden` in its menu. At 2 bits it lists the four values of
#   `hidden`. How far apart are they? Is zero one of them?
# - Look at the tile **speed** at 2 bits. The network computes with floats, looked up in the codebook before: nothing gets
#   faster here. For the same reason the file of the tile **size** stays as it is; section 5 writes one with codes.

# %% [markdown]
# ## 2. How it works
#
# k-means finds the values. Each weight goes to the value next to it, and each value to the mean of its weights, until
# nothing changes. On a line that is quick: the weights are sorted once, and those of one value stand side by side.

# %%
from efflab.quantize.codebook import find_values

chapter.source(find_values)

# %% [markdown]
# What becomes of a layer: its codebook, the indices of some weights, and the values that the network computes with.

# %%
before = lab.build(()).conv1.weight[0].flatten()[:6]
conv1 = lab.build((step(share_weights, bits=2),)).conv1
print("codebook", [round(w, 3) for w in conv1.codebook.tolist()])
print("weights ", [round(w, 3) for w in before.tolist()])
print("indices ", conv1.indices()[0].flatten()[:6].tolist())
print("values  ", [round(w, 3) for w in conv1.weight[0].flatten()[:6].tolist()])

# %% [markdown]
# A layer takes, with n weights that are left, b bits for an index, and g bits for each of m **gaps** (section 5 says what
# they are, and what m and g are; a layer with no weight removed has none),
#
# $$\text{bytes} = \underbrace{\frac{n \cdot b}{8}}_{\text{indices}} + \underbrace{4 \cdot 2^b}_{\text{codebook}}
# + \underbrace{\frac{m \cdot g}{8}}_{\text{gaps}}$$
#
# (Where gaps would take more than a bit for each place, a mask of such bits stands in for them; the tab **layers** says
# "bitmask" then.) With 400,000 weights a codebook of 16 values is nothing. The first layer has 500 weights: there it is a fifth.
# (The same idea as a grid with one scale, in chapter 05; but a grid of 2 bits has three values, equally far apart, with
# zero in the middle. Last part: *Grid or codebook*.)

# %% [markdown]
# ## 3. Two knobs that compete: fewer weights, or fewer bits
#
# Deep Compression (Han and others 2016, arXiv 1510.00149) removes weights first. Zeros then stay out of the clustering:
# they have no value and no index. Both stages in one technique, for a bench with two sliders:

# %%
from efflab import prune_weights, technique
from efflab.prune.masks import Sparsity
from efflab.quantize import Bits


@technique
def prune_and_share(model, *, sparsity: Sparsity = 0.0, bits: Bits = 8):
    """Remove the smallest weights, and let those that are left share 2**bits values."""
    return share_weights(prune_weights(model, sparsity=sparsity), bits=bits)


# %% [markdown]
# Predict, then set the sliders to exactly 70 % and 4 bits. Then look for the settings with the fewest packed bytes that
# lose no more than a point. The tab **journal** keeps what you tried, with the packed bytes in its second column.

# %%
from efflab.widgets.answers_of_codes import bits_of_kept

chapter.bench(
    lab,
    prune_and_share,
    start={"sparsity": 0.3, "bits": 5},
    recover=None,
    prediction="bits_of_kept",
    at={"sparsity": 0.7, "bits": 4},
    answer=bits_of_kept,
)

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# The fewest bytes with no more than a point lost, when this was written: **76 % and 3 bits**, 86.9 kB
# and 0.85 points. At 75 % and 3 bits it is 89.5 kB and 0.75 points, so you may have stopped there. Do not trust such small differences: the interval of each loss,
# in the tile, is about 0.8 points to either side. At 70 %, 3, 4, 5 and 6 bits lose between 0.65 and 1.2 points, and nobody
# can say which of them loses the least. So the fewest bits win. Not noise is what 2 bits cost (2.7 points at 70 %), and
# what 85 % cost (more than 6).
#
# Nearly half of the bits of a weight say where it is. So from 4 bits to 3, each weight that is left gets smaller by a
# seventh only, from 7.2 bits to 6.2. From 70 % to 80 % a third of the weights goes, and each that stays takes 0.9 bits
# more, mostly for its place. In section 6 you train after pruning, and may remove far more.
#
# </details>

# %% [markdown]
# ## 4. Where training brings the values
#
# k-means wants values near the weights. What counts are the answers, so the values are trained: a value belongs to many
# weights, and its gradient is the sum of theirs. Which weight has which value stays. (Where k-means starts matters little
# here. Last part: *Where the values start*.)

# %%
from efflab.runtime.shared import SharedValues

chapter.source(SharedValues.gather)

# %% [markdown]
# The network is now the one with 70 % of its weights removed. Predict; then, at exactly 1 bit, press **Train centroids**,
# which takes about half a minute. Afterwards do the same at 4 bits.

# %%
from efflab import train_centroids
from efflab.widgets.answers_of_codes import trained_back

pruned = lab.after((step(prune_weights, sparsity=0.7),))
chapter.bench(
    pruned,
    share_weights,
    controls=("bits",),
    start={"bits": 1},
    recover=(train_centroids,),
    prediction="trained_back",
    at={"bits": 1},
    answer=trained_back,
)

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# At 1 bit sharing breaks much, and training brings back more than half of it. At 4 bits sharing loses nothing that can be
# measured, and still the accuracy rises by about a point: values and biases make up for some of what *pruning* took, for
# this network was not trained after it.
#
# </details>

# %% [markdown]
# ## 5. Codes
#
# Some values are used often and some rarely. Huffman's code gives the first short codes: the two rarest symbols become
# one, again and again, until one is left; at each merge the codes of all symbols within it get a bit longer. No code
# begins another, so no marks are needed between them. Here are the 8 values of a layer:

# %%
from efflab.quantize.codebook import canonical_codes, code_lengths, entropy_bits

conv2 = pruned.build((step(share_weights, bits=3),)).conv2
indices = conv2.indices().flatten()
counts = indices[indices >= 0].bincount().numpy()
lengths = code_lengths(counts)
for value, n, bits, code in zip(conv2.codebook, counts, lengths, canonical_codes(lengths), strict=True):
    print(f"{value:7.3f} {n:6,} weights, {bits} bits: {code:0{bits}b}")
print(f"{counts @ lengths / counts.sum():.3f} bits on average; the entropy is {entropy_bits(counts):.3f}")

# %% [markdown]
# The **entropy** is what no code of this kind is shorter than. Only the lengths are in the file: the codes count upwards,
# from short to long, so they follow from them.
#
# ### Exercise: the lengths of the codes
#
# Write `huffman_lengths(counts)`: the number of bits that each symbol gets, as a list. `counts` says how often each
# symbol occurs.
#
# <details><summary>Hint</summary>
#
# Begin with a list of pairs: the count of a symbol, and a list with its number, `(count, [symbol])`. Sort it, take the
# first two out, put their sum and both lists together back in, until one pair is left.
#
# </details>


# %%
def huffman_lengths(counts):
    """The bits of each symbol in Huffman's code. counts: (k,), each 1 or more -> a list of k."""
    # --- solution
    lengths = [0] * len(counts)
    nodes = [(count, [symbol]) for symbol, count in enumerate(counts)]
    while len(nodes) > 1:
        (n, some), (m, others), *nodes = sorted(nodes)
        for symbol in some + others:
            lengths[symbol] += 1
        nodes.append((n + m, some + others))
    return lengths
    # --- stub
    # >>> raise NotImplementedError("write me")
    # --- end


# %%
chapter.check("huffman_lengths", huffman_lengths)

# %% [markdown]
# ### Exercise: the gaps
#
# Where are the weights that are left? The file does not hold their places. It says how many zeros come before each of
# them: a **gap**. Write `gaps(is_kept)` for a tensor of type bool, an entry for each weight of a layer. The result is a tensor of type
# int64.
#
# <details><summary>Hint</summary>
#
# `is_kept.nonzero().flatten()` has the places. `diff` takes the difference of neighbours, and with `prepend` also that of
# the first to what you put before it: what place has a weight before the first one?
#
# </details>

# %%
import torch


def gaps(is_kept):
    """The zeros before each weight that is left. is_kept: (n,), bool -> (n_kept,), int64."""
    # --- solution
    places = is_kept.nonzero().flatten()
    return places.diff(prepend=torch.tensor([-1])) - 1
    # --- stub
    # >>> raise NotImplementedError("write me")
    # --- end


# %%
chapter.check("gaps", gaps)

# %% [markdown]
# ### The file
#
# In the file, a gap has g bits. One that is too long for them is cut up: the largest number says that so many zeros come,
# and no weight after them yet; so the m gaps of a layer are often more than its weights. The file tries each g and takes
# the best. With g = 1 the gaps are a **mask**: one bit for each place.
#
# Codebooks, indices, gaps, and the tables of both codes: all of it is now written to a file, weighed, and read back; what
# was read is judged. What it would be without Huffman's code is a sum; no such file is written. Predict, and look at each
# layer.

# %%
from efflab.widgets.answers_of_codes import saved_by_huffman

recipe = (step(prune_weights, sparsity=0.7), step(share_weights, bits=4))
chapter.encoded(lab, recipe, prediction="saved_by_huffman", answer=saved_by_huffman)

# %% [markdown]
# Open **Table** below the picture: a row for each layer, a column for each part. (`lab.encode(recipe).table()` has them,
# too.)
#
# - Which layer saves the most, in percent? In which one does the code save nothing, and why?
# - How much of the file are the gaps? Which layers have a mask, a bit for each of their places?
# - Which part stays, however few bits you choose?
#
# <details><summary>What you should have seen</summary>
#
# `output` saves the most in percent, 9.5; `hidden` saves 9.2 and `conv2` 7.6. In `conv1` there are a few hundred weights:
# what the code saves, the tables of its lengths cost again, and a byte more. In `hidden` the gaps are nearly half. The
# other layers keep more of their weights, so a mask is shorter there: 25,000 places of `conv2` are 3,125 bytes. Biases and
# the header stay: 3,000 bytes, which is little here and a tenth of a file of 30,000.
#
# </details>

# %% [markdown]
# ## 6. The budget
#
# Bring this network, 1,724 kB of floats, into a file **at least 40 times smaller**, and lose **at most 1 point** of
# accuracy. Written, weighed and judged is the file. No hints; many recipes meet it. Training takes a minute or two. From
# chapter 03: `fine_tune` trains the weights that are left; `prune_gradually` trains and removes, a few more weights at a
# time.

# %%
from efflab import fine_tune, prune_gradually
from efflab.budget import EncodedBudget

budget = EncodedBudget(times_smaller=40, lost=0.01)

# %% tags=["student-only"]
recipe = (step(prune_weights, sparsity=0.8), step(fine_tune, epochs=1), step(share_weights, bits=5))  # change it
chapter.judge(lab, recipe, budget)

# %% tags=["solution-only"]
recipe = (step(prune_gradually, sparsity=0.93, epochs=5), step(share_weights, bits=4))
chapter.judge(lab, recipe, budget)

# %% [markdown]
# ## 7. The paper beside you
#
# Your last recipe once more, as a file by layer and part. It waits for the budget to be judged, and is not trained again.

# %%
yours = chapter.encoded(lab, recipe)
yours

# %% [markdown]
# Once it is there, run the next cell. Your row is the last one.

# %%
chapter.paper("han2016", yours)

# %% [markdown]
# Your LeNet-5 has the layers of theirs. Three things to compare. *What may be lost*: theirs lost nothing, the error fell
# from 0.80 to 0.74 %; you were allowed a point. *How hard the task is*: theirs is plain MNIST, where 8 % of the weights are
# enough for the same error; yours are scattered digits with clutter. *What the columns count*: theirs are the error on test
# data after many rounds of pruning and training, yours that on validation data after minutes. And the table has no column
# for time: this file is for the disk and the way there.

# %% [markdown]
# ## 8. Three questions

# %%
chapter.quiz("which_is_faster")

# %%
chapter.quiz("why_zero_is_no_value")

# %%
chapter.quiz("entropy_limit")

# %% [markdown]
# ## What to remember
#
# - A weight is stored as an index into a codebook, and its place as a gap. At 70 % sparsity the place costs
#   nearly as much as the index, and more than it beyond.
# - An entropy code saves what is uneven, about a tenth here, and nothing in tiny layers. Count the tables.
# - A small file is read back into floats. It saves disk and transfer, not time.
#
# At work: [Core ML's
# palettization](https://apple.github.io/coremltools/docs-guides/source/opt-palettization-overview.html), which stores and
# runs networks with codebooks.
#
# That was the chapter. Whoever has more time goes further below, in any order.

# %% [markdown]
# ## Going further
#
# Six ideas, each by itself. Of the cells above they need only those in section 1.

# %% [markdown]
# ### Grid or codebook (5 minutes)
#
# The same bits, spent twice: as a grid with a scale for each channel (chapter 05), and as a codebook for the whole layer.

# %%
from efflab import quantize_weights

for bits in (4, 3, 2):
    for one in (step(quantize_weights, bits=bits), step(share_weights, bits=bits)):
        tried = lab.preview((one,))
        n_bytes = f"{tried.size.packed_bytes:8,} bytes (computed)"
        print(f"{bits} bits, {one.technique.label:16} {n_bytes}  {tried.evaluation}")

# %% [markdown]
# At 3 and 2 bits the grid has fewer bytes, because it rounds many weights to zero, and a zero needs no integer. At 2 bits
# it is most of them, and the accuracy goes with them. But a kernel can multiply the integers of a grid, and a codebook must be looked up first. So grids are what runs fast, and codebooks
# are what still works at 2 bits.

# %% [markdown]
# ### Where the values start (5 minutes)
#
# From another start, k-means may end elsewhere. These are the three starts of the paper, on the network with 70 % of its
# weights removed. Predict, then try all three at exactly 2 bits; the answer comes once all were seen.

# %%
from efflab import prune_weights
from efflab.widgets.answers_of_codes import worst_start

chapter.bench(
    lab.after((step(prune_weights, sparsity=0.7),)),
    share_weights,
    controls=("bits", "start"),
    start={"bits": 3},
    recover=None,
    prediction="worst_start",
    at={"bits": 2},
    answer=worst_start,
)

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# They end within a point of each other, and each score has an interval of about a point to either side: from this, nobody
# can say which start is best. On a line, with few values and rounds until nothing changes, most of the start is forgotten.
# The authors found the even one best, in larger networks.
#
# </details>

# %% [markdown]
# ### Bits for each layer (10 minutes)
#
# Tick *one for each layer* below the slider. `hidden` has 93 % of the weights, so its bits decide how large the file is.
# Give one layer 1 bit and leave the others at 3, layer by layer. Which layer suffers the most? What is the smallest
# network that loses about a point?

# %%
chapter.bench(lab, share_weights, controls=("bits",), start={"bits": 3}, recover=None)

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# `conv2` suffers by far the most: 7.3 points are lost, with `conv1` 2.1, with `output` 1.55 and with `hidden` 1.25; each
# has an interval of about a point to either side. All at 3 bits lose 0.25, which nobody can tell from nothing, so no layer
# needs 4. Yet `hidden` is where the bytes are: at 1 bit there and 3 elsewhere, 164 kB become 64 kB.
#
# </details>

# %% [markdown]
# ### How many bits for a gap? (10 minutes)
#
# A gap of g bits ends at 2^g - 1. A longer one is cut up: the largest number says that so many zeros come, and no weight
# after them yet. Few bits make many numbers, many bits waste some in each. The paper takes 8 bits for convolutions and 5
# for linear layers; the file tries all and takes the best. Here is the curve, with and without Huffman's code:

# %%
import numpy as np

from efflab import prune_weights
from efflab.quantize.codebook import code_lengths
from efflab.runtime.gaps import cut_up, zeros_before

weight = lab.build((step(prune_weights, sparsity=0.9),)).hidden.weight
zeros = zeros_before((weight != 0).flatten().numpy())
for g in range(2, 9):
    numbers = cut_up(zeros, g)
    counts = np.bincount(numbers)
    coded = int(counts @ code_lengths(counts)) // 8
    print(f"{g} bits: {len(numbers):7,} numbers, {len(numbers) * g // 8:7,} bytes, with Huffman's code {coded:7,}")

# %% [markdown]
# Without the code the choice matters. With it, it hardly does once g is large enough: numbers that never occur cost
# nothing. What is the best g at 97 %?

# %% [markdown]
# ### A network of the paper (10 minutes)
#
# If the real MNIST lies in a folder `mnist` of the folder that `EFFLAB_DATA` names, this is the authors' LeNet-300-100,
# with the recipe of our benchmark `deep_compression`. It is not run here, for it trains 65 epochs. Copy it into a cell, and
# see whether it gets 40 times smaller with no more than their 1.64 % error:
#
# ```python
# from efflab import fine_tune, prune_gradually, train_centroids
# theirs = Lab.open("mlp-mnist")
# bits = {"hidden1": 3, "hidden2": 3, "output": 4}
# deep = (step(prune_gradually, sparsity=0.92, epochs=30), step(fine_tune, epochs=30), step(share_weights, bits=bits))
# yours = chapter.encoded(theirs, (*deep, step(train_centroids, epochs=5, learning_rate=0.0003)))
# yours
# ```
#
# Then `chapter.paper("han2016", yours)` has your row below theirs. Is the folder there?

# %%
import os

print("EFFLAB_DATA is", os.environ.get("EFFLAB_DATA", "not set"))

# %% [markdown]
# ### Your own network (10 minutes)
#
# Any network with linear layers or convolutions can be written to such a file, and read back into an untrained copy of
# itself. The file holds numbers only: nothing is unpickled, a checksum finds damage, and all weights come back bit for
# bit.

# %%
import tempfile

from torch import equal, nn

from efflab import prune_weights
from efflab.quantize.codebook import read_encoded, write_encoded

mine = nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))  # put your own here
small = share_weights(prune_weights(mine, sparsity=0.9), bits=4)
with tempfile.TemporaryDirectory() as folder:
    path = write_encoded(small, f"{folder}/mine.dc")
    n_bytes, again = path.stat().st_size, read_encoded(path, mine)
same = all(equal(a, b) for a, b in zip(small.parameters(), again.parameters(), strict=True))
print(f"{n_bytes:,} bytes in place of {4 * sum(p.numel() for p in mine.parameters()):,}; the same weights: {same}")

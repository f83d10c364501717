# %% [markdown]
# # 09 Distilling representations
#
# **After this chapter you can** compare the hidden layers of two networks, pass on what a layer has found and not only what
# the network answers, choose the layers for it, and say when imitating the thought is worse than imitating the answer.
#
# 50 minutes, and 50 more for those who go further, in the last part. You need chapter
# [08](08_distilling_predictions.ipynb): teacher, student, temperature.

# %% [markdown]
# ## 1. One knob: which layers
#
# A network turns a picture into an answer step by step. What each **hidden layer** holds is a *representation*: a list of numbers
# for each image. Two networks have other numbers, in another order, often not even as many. What can be compared is how they lay
# out the images: which ones are close to each other. **CKA** (centred kernel alignment) is 1 if two layers do that in the same way, and 0 if one
# knows nothing of the other (Kornblith and others 2019, arXiv 1905.00414). Below, the layers of a trained teacher stand beside those of a
# student that has learned nothing yet. Predict, then choose both first layers.
#
# <details><summary>What this lab looks like when it runs (it gives the answer away)</summary>
#
# ![The panel: on the left the choice of two layers and of the student, on the right a map of how alike all layers are, and two
# pictures of points, the images as the teacher's layer and the student's layer lay them out](pictures/09_representations.png)
#
# </details>

# %% tags=["demo"]
from efflab import Lab, distill_predictions, fine_tune, start_student, step
from efflab.widgets import Chapter
from efflab.widgets.answers_of_distillation import first_layers_alike

chapter = Chapter("09")
lab = Lab.open("resnet8-scattered")
student = step(start_student, kind="cnn", width=3)
students = {"not trained": (student,), "trained alone": (student, step(fine_tune, epochs=8, learning_rate=0.01))}
chapter.representations(lab, student=students, prediction="untrained_alike", answer=first_layers_alike)

# %% [markdown]
# Three things to try:
#
# - Choose the last layer of both, and look at the two clouds of points: do you see the ten digits in the teacher's? In the
#   student's?
# - Press **Train** for the student that is trained alone. In which rows and columns does the map change?
# - For each layer of the student, which layer of the teacher is most like it? Note the numbers of one such pair: you can try
#   them as hint and guided layer.
# - Move **Images** down to 10. What do all pairs say now?
#
# <details><summary>What you should have seen</summary>
#
# The teacher's last layer has groups that lie apart, and a heap in the middle: two directions of 64 do not show ten digits. In the
# student's that has learned nothing there is one heap. Training changes the last columns of the map most.
#
# With 10 images nearly everything looks alike, the untrained student too. That is no likeness: with few images and many numbers CKA
# is large for pure noise, as section 2 shows. Even at 500 images a few tenths are nothing; compare pairs, and before with after.
#
# </details>

# %% [markdown]
# ## 2. How it works
#
# Put the representation of $n$ images into a matrix $X$, a row for each image, and subtract the mean of each column; $Y$ likewise. Then
#
# $$\text{CKA} = \frac{\lVert Y^\top X \rVert_F^2}{\lVert X^\top X \rVert_F \; \lVert Y^\top Y \rVert_F}$$
#
# Above the line stands how much the two have in common, below it how much each has of its own. Swap columns, turn or scale one
# of them, and nothing changes: only distances between images count.

# %%
from efflab.distill import linear_cka

chapter.source(linear_cka)

# %%
import torch

torch.manual_seed(0)
x = torch.randn(200, 3)
turn, _ = torch.linalg.qr(torch.randn(3, 3))
print("itself            ", round(linear_cka(x, x), 3))
print("columns swapped   ", round(linear_cka(x, x[:, [2, 0, 1]]), 3))
print("turned and scaled ", round(linear_cka(x, 5 * x @ turn), 3))
print("something else    ", round(linear_cka(x, torch.randn(200, 3)), 3))
for n in (10, 500):
    noise = linear_cka(torch.randn(n, 64), torch.randn(n, 32))
    print(f"noise, {n:3} images  ", round(noise, 3), "with 64 and 32 numbers for each")

# %% [markdown]
# ## 3. The answer or the thought?
#
# A **hint** is a hidden layer of the teacher. In a first stage the student, up to its *guided* layer, is trained so that a small
# layer behind it, the **regressor**, can compute the hint from it. Then the regressor is thrown away, and the whole student is distilled
# from the predictions, as in chapter 08 (Romero and others 2015, arXiv 1412.6550):
#
# $$L_\text{hint} = \text{mean over images and numbers of } \; (W u + b - v)^2 \qquad u \text{ guided layer}, \; v \text{ hint}$$
#
# The regressor is there because the two layers have other widths, and because their channels have no common order. The student below is small, 3
# channels in its first layer. Predict, then press **Train both** and **3 more seeds**. Both arms take 8 epochs: the student alone spends all of them on the
# labels, the other one two on the hint and six on the teacher's predictions and the labels. Set the numbers of the layers to the pair
# that you noted, and try again.

# %%
from efflab import distill_hints
from efflab.widgets.answers_of_distillation import verdict_of_teacher

yours = chapter.side_by_side(
    lab,
    taught=distill_hints,
    student=student,
    controls=("hint", "guided", "hint_epochs", "epochs"),
    start={"hint": 3, "guided": 2, "hint_epochs": 2, "epochs": 6},
    prediction="answer_or_thought",
    answer=verdict_of_teacher,
)
yours

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# Worse: 8 points on average over four seeds, and between 5 and 11 with 95 % confidence. The pairs that are most alike were no
# better: hint 3 at guided 3 takes 10.5 points (3.7 to 17.2), hint 1 at guided 1 takes 10.7 (8.3 to 13.1). So CKA says where a hint
# could be learned, and not whether it is worth learning: the first layers were alike without it.
#
# A student this small, trained for so short a time, has not yet learned what it can from the labels, and each epoch that it spends on
# something else is missing. Nor do the predictions of the second stage help it: with few epochs they did not help in chapter 08
# either. The paper's students are the opposite, deep and hard to train from labels: there a hint is what makes training work.
#
# </details>
#
# ### Exercise: the hint
#
# Write `hint_loss(guided, hint, weight, bias)`: how far the regressor is from the hint. `guided` (n, d_s), `hint` (n, d_t), `weight`
# (d_t, d_s), `bias` (d_t). The mean of the squared errors, over images and numbers.
#
# <details><summary>Hint</summary>
#
# A linear layer is `x @ weight.T + bias`.
#
# </details>


# %%
def hint_loss(guided, hint, weight, bias):
    """The mean squared error of the regressor. guided: (n, d_s); hint: (n, d_t) -> ()."""
    # --- solution
    predicted = guided @ weight.T + bias
    return (predicted - hint).square().mean()
    # --- stub
    # >>> raise NotImplementedError("write me")
    # --- end


# %%
chapter.check("hint_loss", hint_loss)

# %% [markdown]
# ## 4. Two knobs that compete: distances, and labels
#
# A hint asks for every number of a layer. **Relations** ask for less: images that are close to each other for the teacher should be
# close for the student (Park and others 2019, arXiv 1904.05068). Each image of a batch is a point $u_i$ in the student's last hidden
# layer, and $v_i$ in the teacher's; all distances are divided by their mean, and compared:
#
# $$L_\text{distance} = \text{mean over pairs of } \; \text{Huber}\left(\frac{\lVert u_i - u_j \rVert}{\mu_u},
# \frac{\lVert v_i - v_j \rVert}{\mu_v}\right)$$
#
# The points may have any number of dimensions, so no regressor is needed, and the labels stay beside it all the time; a weight says how much the
# distances count. Predict for a weight of 10, then press **Train both** and **3 more seeds**.

# %%
from efflab import distill_relations

chapter.side_by_side(
    lab,
    taught=distill_relations,
    student=student,
    controls=("distances", "epochs"),
    start={"distances": 10.0, "epochs": 8},
    prediction="distances_help",
    answer=verdict_of_teacher,
)

# %% [markdown]
# Which weight is best with 8 epochs? Is there one that ruins the student? And what is left of the gain with more epochs?
#
# <details><summary>What you should have seen</summary>
#
# The first seed gains about 4 points. Seven seeds gave 4, 8, 3, -1, 0, 3 and 0: 2.4 on average, with an interval from -0.6 to 5.4. (On
# another machine each is a little different.) So a mean of some points is not a result yet, for a network with 3 channels depends much
# on the weights that it begins with. The bars in the lower picture are about the images, and the band is about the seeds: that is the one
# that counts.
#
# With 4 channels the mean of five seeds was 2.1, and the interval, from 0.1 to 4.0, lay above zero: more seeds or a steadier student
# is what it takes. A weight of 50 left nothing of the gain (one seed). And with 20 epochs in place of 8 the gain stayed: 3.4 points over four
# seeds, between 0.8 and 6.1, for the students alone differ less then.
#
# </details>
#
# ### Exercise: where a layer looks
#
# Between the two stands **attention** (*Going further*): where in the picture a layer is active, whatever it sees there.
#
# Write `attention_map(features)`: squares, their mean over the channels, flattened to a row for each image, and each row divided by its
# length.
#
# <details><summary>Hint</summary>
#
# `features.square().mean(dim=1)` has the shape (n, h, w). `flatten(1)` keeps the images apart, and `norm(dim=1, keepdim=True)` is
# the length of each row.
#
# </details>


# %%
def attention_map(features):
    """Where a layer is active. features: (n, c, h, w) -> (n, h * w), each row of length 1."""
    # --- solution
    maps = features.square().mean(dim=1).flatten(1)
    return maps / maps.norm(dim=1, keepdim=True)
    # --- stub
    # >>> raise NotImplementedError("write me")
    # --- end


# %%
chapter.check("attention_map", attention_map)

# %% [markdown]
# ## 5. The budget
#
# Make a student **under 5 kB packed** that beats itself alone by **at least 2 points**, on average over 3 seeds. All techniques of the
# course are yours; *alone* is the same recipe, with plain training in place of each step that has a teacher. No hints. Both arms are trained three
# times when the cell runs, in the background, for a minute or two. (The budget asks what the teacher adds on average, and says
# whether three seeds are enough to trust it. The best network under 5 kB is another question: more epochs alone may well beat it.)

# %%
from efflab.budget import TaughtBudget

budget = TaughtBudget(n_bytes=5000, gained=0.02)

# %% tags=["student-only"]
recipe = (
    step(start_student, kind="cnn", width=3),
    step(distill_predictions, epochs=2),
)  # change it until the budget is met
chapter.judge(lab, recipe, budget)

# %% tags=["solution-only"]
recipe = (step(start_student, kind="cnn", width=3), step(distill_relations, distances=10.0, epochs=8))
chapter.judge(lab, recipe, budget)

# %% [markdown]
# ## 6. The paper beside you
#
# FitNets on CIFAR-10: thin, deep students with hints, and their wide teacher. The last three rows are yours, of section 3, once both
# students are trained; the times come a little later.

# %%
chapter.paper("fitnets2015", yours)

# %% [markdown]
# In the paper all thin students but the smallest are *better* than their teacher: they are deeper, with 11 to 19 layers, and without a
# hint the deepest ones hardly trained at all. Yours has three layers, and no such trouble. So a hint had nothing to mend, and cost epochs. What was kept of the idea,
# ten years later, is a loss on hidden layers *beside* the others, and many epochs.

# %% [markdown]
# ## 7. Three questions

# %%
chapter.quiz("cosine_target")

# %%
chapter.quiz("what_cka_ignores")

# %%
chapter.quiz("no_regressor")

# %% [markdown]
# ## What to remember
#
# - Layers of two networks can be compared by how they lay out images. First layers are alike even without training; the last ones are
#   where learning shows.
# - A hint asks for numbers, attention for places, relations for distances between images: the less is asked for, the more students can
#   give it.
# - Imitating the thought is a means. What counts is the student's answers, beside those of one that imitated only answers.
#
# At work: hidden-layer losses are a part of how small language models are made from large ones
# ([TinyBERT](https://arxiv.org/abs/1909.10351)).
#
# That was the chapter. Whoever has more time goes further below, in any order.

# %% [markdown]
# ## Going further
#
# Four ideas, each by itself. Of the cells above they need only the first one.

# %% [markdown]
# ### The colleague's cosine (15 minutes)
#
# The first question of the quiz, measured. The teacher's last hidden layer has 64 numbers, the student's 32. Both shall point in the
# same direction, beside the labels. Three ways to make them comparable: average neighbouring pairs of the teacher's 64; as a control, pick
# one of each pair, so that nothing is averaged; or let a regressor learn a mixture of the student's 32.

# %%
from typing import Annotated

from efflab.knobs import Choice

Mixture = Annotated[str, Choice(("averaged", "picked", "learned"), "how 64 numbers and 32 are made comparable")]


# %%
from torch.nn import functional as F


def direction_loss(ours, theirs, regressor, mixture):
    """1 minus the cosine of the angle, mean over images. ours: (n, 32); theirs: (n, 64) -> ()."""
    pairs = theirs.reshape(-1, 32, 2)  # neighbours
    if mixture == "learned":
        ours = regressor(ours)
    else:
        theirs = pairs.mean(dim=2) if mixture == "averaged" else pairs[:, :, 0]
    return (1 - F.cosine_similarity(ours, theirs)).mean()


# %% [markdown]
# And a technique of your own that trains with it. Its knobs become controls, as those of the course do.

# %%
from efflab import start_student, step, technique, training
from efflab.distill import ask, embedding, hidden_layers, make_regressor, outputs_of


def with_direction(seen, mine, answers, wanted, regressor, mixture, weight=5):
    """The loss of a batch: what the labels say, and `weight` times the direction."""

    def loss(student, batch):
        hard = F.cross_entropy(student(batch.images), batch.labels)
        theirs = embedding(answers.of(batch).hidden[wanted])
        return hard + weight * direction_loss(seen[mine], theirs, regressor, mixture)

    return loss


# %%
@technique
def follow_direction(
    model, *, data, teacher, mixture: Mixture = "averaged", epochs: training.Epochs = 15, seed=0, progress=None
):
    student, regressor = training.copy_model(model), make_regressor((32,), (64,), seed=seed)
    mine, wanted = (list(hidden_layers(one, data.train.images[:1]))[-1] for one in (student, teacher))
    if (answers := ask(teacher, data.train, [wanted], progress=progress)) is None:
        return student  # stopped before the teacher had answered
    with outputs_of(student, [mine]) as seen:
        loss = with_direction(seen, mine, answers, wanted, regressor, mixture)
        options = {"loss": loss, "also": regressor.parameters(), "seed": seed, "progress": progress}
        training.keep_best(student, data, training.train(student, data, epochs=epochs, **options))
    return student


# %%
chapter.side_by_side(
    lab,
    taught=follow_direction,
    student=step(start_student, kind="mlp", width=32),
    controls=("mixture", "epochs"),
)

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# Over four seeds, with 95 % intervals: averaged 5.9 points worse (4.2 to 7.6), picked 4.7 (3.2 to 6.3), learned 1.4 (0.3 to 2.5). The weight
# and the cosine are the same. So averaging is not the main trouble: picking real channels hurts nearly as much. What hurts is that
# the student must put into its unit 5 what the teacher happens to have in place 5, though units have no common order. The regressor takes
# that away, and most of the harm with it. What is left says that with labels at hand this student had no need of a direction.
#
# </details>

# %% [markdown]
# ### Attention (15 minutes)
#
# The map of a layer is the mean over its channels of the squared activations, divided by its length; so a layer of 3 channels
# can be compared with one of 16 (Zagoruyko and Komodakis 2017, arXiv 1612.03928). The labels stay, and a weight says how much the
# maps count beside them. Compare weights of 10 and of 50, with four seeds each. Why can more of a good thing ruin a student?

# %%
from efflab import distill_attention, start_student, step

chapter.side_by_side(
    lab,
    taught=distill_attention,
    student=step(start_student, kind="cnn", width=3),
    controls=("attention", "epochs"),
    start={"attention": 10.0, "epochs": 8},
)

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# With a weight of 10 no difference that can be measured: +0.8 over four seeds, between -3.3 and 4.8. With 50 it hurts: -3.9, between -7.7 and
# -0.1. The maps are a means, and the labels are the end: a student that is busy with where to look learns less of what to say.
#
# </details>

# %% [markdown]
# ### A student without maps (10 minutes)
#
# The student of chapter 08 has no convolution, so it has no maps and no place where it looks. Distances between images exist for it, too. Do
# they help it more than the teacher's answers did there (1.7 points)?

# %%
from efflab import distill_relations, start_student, step

chapter.side_by_side(
    lab,
    taught=distill_relations,
    student=step(start_student, kind="mlp", width=64),
    controls=("distances", "angles", "epochs"),
    start={"distances": 10.0, "epochs": 15, "learning_rate": 0.003},
)

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# A little, perhaps: +1.1 points over four seeds, between -0.1 and 2.2, so zero is just within. More distance is not better: a weight of 50
# gave +0.9, between -0.9 and 2.6.
#
# </details>

# %% [markdown]
# ### Your own networks (10 minutes)
#
# `chapter.representations` and `distill_hints` take any networks with hidden layers. Put your own into the place of `mine`: it is the teacher
# here, so train it first.

# %%
from torch import manual_seed, nn

from efflab import start_student, step
from efflab.data import load
from efflab.training import train

manual_seed(0)
layers = [nn.Flatten(), nn.Linear(64, 40), nn.ReLU(), nn.Linear(40, 20), nn.ReLU(), nn.Linear(20, 10)]
mine, digits = nn.Sequential(*layers), load("digits")
for _ in train(mine, digits, epochs=10):
    pass
own = Lab(mine.eval(), digits, name="mine")
chapter.representations(own, student={"a narrow one": (step(start_student, kind="mlp", width=8),)})

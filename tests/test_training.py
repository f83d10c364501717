"""The training loop: what it yields, how it is stopped, what it keeps, and that its caller's mode does not matter."""

import copy
import dataclasses
import subprocess
import sys
import threading
from collections import OrderedDict, defaultdict
from pathlib import Path

import pytest
import support
import torch
from torch import nn

from efflab import models
from efflab.data import Data
from efflab.quantize import quantize_activations
from efflab.training import Epoch, Progress, copy_model, keep_best, predict, safe_layout, train, validation_score


@pytest.fixture
def data() -> Data:
    return support.tiny_data()


@pytest.fixture
def model() -> nn.Module:
    return support.tiny_cnn()


def plain_training(model: nn.Module, data: Data, *, epochs: int, seed: int) -> list[float]:
    """The loop as anybody would write it with torch: 3e-3 one-cycle AdamW, batches of 128. Losses of the epochs."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-4)
    n_batches = len(data.train.labels) // 128 + 1
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=epochs * n_batches)
    generator = torch.Generator().manual_seed(seed)
    losses = []
    for _ in range(epochs):
        model.train()
        order, total = torch.randperm(len(data.train.labels), generator=generator), 0.0
        for start in range(0, len(order), 128):
            index = order[start : start + 128]
            loss = nn.functional.cross_entropy(model(data.train.images[index]), data.train.labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(index)
        losses.append(total / len(order))
        model.eval()
    return losses


def test_it_is_a_plain_loop_bit_for_bit(model, data):
    by_hand = support.tiny_cnn()
    losses = plain_training(by_hand, data, epochs=3, seed=7)
    records = list(train(model, data, epochs=3, seed=7))
    assert support.bits(model) == support.bits(by_hand)
    assert [record.train_loss for record in records] == pytest.approx(losses, rel=1e-6)


# Records


def test_a_record_after_each_epoch_says_which_one_and_how_well(model, data):
    records = []
    for record in train(model, data, epochs=3):
        assert record.score == validation_score(model, data)
        assert not model.training
        records.append(record)
    assert [(record.number, record.n_epochs) for record in records] == [(1, 3), (2, 3), (3, 3)]
    assert all(0 < record.train_loss < 10 for record in records)


def test_a_record_cannot_be_changed(model, data):
    (record,) = train(model, data, epochs=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.score = 1.0


def test_nothing_is_trained_until_the_first_record_is_asked_for(model, data):
    before = support.bits(model)
    train(model, data, epochs=1)
    assert support.bits(model) == before


def test_the_score_is_the_share_of_right_answers_on_validation_data(model, data):
    answers = model(data.validation.images).argmax(1)
    assert validation_score(model, data) == (answers == data.validation.labels).sum().item() / 50


def test_predictions_do_not_depend_on_the_chunk(model, data):
    whole = model(data.train.images)
    for chunk in (1, 7, 130, 1000):
        torch.testing.assert_close(predict(model, data.train.images, chunk=chunk), whole)


# Reproducible


def test_the_same_seed_gives_equal_bits_and_equal_records(data):
    runs = []
    for _ in range(2):
        model = support.tiny_cnn()
        runs.append((list(train(model, data, epochs=2, seed=3)), support.bits(model)))
    assert runs[0] == runs[1]


def test_another_seed_gives_other_bits(data):
    first, second = support.tiny_cnn(), support.tiny_cnn()
    list(train(first, data, epochs=1, seed=0))
    list(train(second, data, epochs=1, seed=1))
    assert support.bits(first) != support.bits(second)


def test_the_global_generator_is_left_alone(model, data):
    before = torch.random.get_rng_state()
    list(train(model, data, epochs=2))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_mode_of_the_caller_changes_no_bit(mode, model, data):
    with mode():
        inside = list(train(model, data, epochs=2, keep_zeros=True))
    outside = support.tiny_cnn()
    assert list(train(outside, data, epochs=2, keep_zeros=True)) == inside
    assert support.bits(outside) == support.bits(model)


def test_the_mode_of_the_caller_is_given_back_at_each_record(model, data):
    with torch.inference_mode():
        for _ in train(model, data, epochs=2):
            assert torch.is_inference_mode_enabled()
    with torch.no_grad():
        for _ in train(model, data, epochs=2):
            assert not torch.is_grad_enabled()
    for _ in train(model, data, epochs=2):
        assert torch.is_grad_enabled()


def test_a_copy_made_in_inference_mode_can_be_trained(model, data):
    with torch.inference_mode():
        copied = copy_model(model)
    assert support.bits(copied) == support.bits(model)
    assert support.storages(copied).isdisjoint(support.storages(model))
    assert len(list(train(copied, data, epochs=1))) == 1


def holding(**attributes: object) -> nn.Module:
    """A network whose first layer and itself hold something more."""
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    for name, value in attributes.items():
        setattr(network, name, value)
        setattr(network[0], name, value)
    return network


def test_a_copy_has_hooks_of_its_own():
    network, heard = holding(), []
    network[0].register_forward_hook(lambda *_: heard.append("old"))
    copied = copy_model(network)
    copied[1].register_forward_hook(lambda *_: heard.append("new"))
    copied[0].register_forward_pre_hook(lambda *_: heard.append("first"))
    network.eval()(torch.zeros(1, 2))
    assert heard == ["old"]
    heard.clear()
    copied.eval()(torch.zeros(1, 2))
    assert heard == ["first", "old", "new"]


@pytest.mark.parametrize("empty", [{}, set(), OrderedDict(), [], defaultdict(list)])
def test_a_copy_shares_no_container_and_keeps_its_kind(empty):
    network = holding(notes=empty)
    copied = copy_model(network)
    assert copied.notes == empty
    assert type(copied.notes) is type(empty)
    assert copied.notes is not empty
    assert copied.notes is copied[0].notes  # as in the model


def test_a_copy_has_what_deepcopy_gives_it():
    network = holding(notes={"a": [1]}, nested=[{}], counts=defaultdict(int), name="mine")
    network[1].running_mean.fill_(0.5)
    ours, plain = vars(copy_model(network)), vars(copy.deepcopy(network))
    assert list(ours) == list(plain)
    different = [name for name in plain if name != "_modules" and ours[name] != plain[name]]
    assert different == []
    assert ours["counts"].default_factory is int
    assert ours["nested"][0] is not network.nested[0]
    assert support.bits(copy_model(network)) == support.bits(network)


def test_another_thread_trains_to_the_same_bits(model, data):
    found: list[Epoch] = []
    thread = threading.Thread(target=lambda: found.extend(train(model, data, epochs=2)))
    with torch.inference_mode():  # of this thread, not of the other
        thread.start()
        thread.join()
    here = support.tiny_cnn()
    assert list(train(here, data, epochs=2)) == found
    assert support.bits(here) == support.bits(model)


# Progress and stopping


def test_the_fraction_done_is_told_after_each_batch(model, data):
    heard: list[float] = []
    list(train(model, data, epochs=2, batch_size=50, progress=Progress(on_batch=heard.append)))
    assert heard == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])


def test_each_record_is_told_before_it_is_yielded(model, data):
    heard: list[Epoch] = []
    for number, record in enumerate(train(model, data, epochs=2, progress=Progress(heard.append)), start=1):
        assert len(heard) == number
        assert heard[-1] is record


@pytest.mark.parametrize("n_batches", [1, 2, 3, 4])
def test_it_stops_after_the_batch_in_which_it_was_asked_to(n_batches, model, data):
    heard: list[float] = []

    def count(done: float) -> None:
        heard.append(done)
        if len(heard) == n_batches:
            progress.stop()

    progress = Progress(on_batch=count)
    records = list(train(model, data, epochs=5, batch_size=50, progress=progress))  # 3 batches an epoch
    assert len(heard) == n_batches
    assert len(records) == (n_batches - 1) // 3  # the unfinished epoch has no record
    assert not model.training


def test_a_stop_from_another_thread_is_heard(model, data):
    progress = Progress()
    started = threading.Event()
    progress.on_batch = lambda done: started.set()
    thread = threading.Thread(target=lambda: (started.wait(10), progress.stop()))
    thread.start()
    records = train(model, data, epochs=1_000_000, progress=progress)
    assert sum(1 for _ in records) < 1_000_000
    thread.join()
    assert progress.is_stopped


def test_whoever_stops_asking_stops_the_training(model, data):
    records = train(model, data, epochs=3)
    next(records)
    after_one = support.bits(model)
    records.close()
    assert support.bits(model) == after_one


def test_parts_of_a_progress_count_within_the_whole():
    fractions: list[float] = []
    records: list[Epoch] = []
    whole = Progress(records.append, fractions.append)
    for index in range(3):
        part = whole.part(index, 3)
        part.on_batch(0.5)
        part.on_record(Epoch(2, 2, 0.1, 0.9))
    assert fractions == pytest.approx([0.5 / 3, 1.5 / 3, 2.5 / 3])
    assert records == [Epoch(2, 6, 0.1, 0.9), Epoch(4, 6, 0.1, 0.9), Epoch(6, 6, 0.1, 0.9)]


def test_a_part_stops_with_the_whole_and_the_whole_with_a_part():
    whole = Progress()
    first, second = whole.part(0, 2), whole.part(1, 2)
    first.stop()
    assert whole.is_stopped
    assert second.is_stopped


# Zeros


def test_exact_zeros_stay_when_asked(model, data):
    weight = model.conv2.weight
    weight.data[:, :, 0] = 0.0  # a row of each kernel: the others keep every gradient alive
    list(train(model, data, epochs=3, weight_decay=0.1, keep_zeros=True))
    assert bool((weight[:, :, 0] == 0).all())
    assert bool((weight[:, :, 1:] != 0).all())


def test_zeros_made_between_two_epochs_stay_from_then_on(model, data):
    records = train(model, data, epochs=3, keep_zeros=True)
    next(records)
    model.output.weight.data[:, 3] = 0.0
    list(records)
    assert bool((model.output.weight[:, 3] == 0).all())


def test_without_being_asked_zeros_move(model, data):
    model.conv2.weight.data[:, :, 0] = 0.0
    list(train(model, data, epochs=1))
    assert bool((model.conv2.weight[:, :, 0] != 0).all())


# The best epoch


def records_with(scores: list[float], model: nn.Module):
    """Records of a made-up training that writes its epoch's number into the output's bias."""
    for number, score in enumerate(scores, start=1):
        model.output.bias.data.fill_(number)
        yield Epoch(number, len(scores), 0.5, score)


@pytest.mark.parametrize(
    ("scores", "best"), [([0.5, 0.9, 0.7], 2), ([0.9, 0.5], 1), ([0.5, 0.9, 0.9], 3), ([1.0, 1.0, 0.99], 2)]
)
def test_the_weights_of_the_best_epoch_are_left_the_last_of_equals(scores, best, model, data):
    keep_best(model, data, records_with(scores, model))
    assert model.output.bias.tolist() == [best] * support.N_CLASSES


def test_the_start_is_left_when_every_epoch_is_worse(model, data):
    before = support.bits(model)
    keep_best(model, data, records_with([-0.1, -0.2], model))
    assert support.bits(model) == before


def test_where_lower_is_better_the_lowest_is_kept(model, data):
    downwards = dataclasses.replace(data, task=dataclasses.replace(data.task, higher_is_better=False))
    keep_best(model, downwards, records_with([0.02, 0.01, 0.03], model))
    assert model.output.bias.tolist() == [2] * support.N_CLASSES


def test_a_training_that_fails_leaves_the_best_so_far(model, data):
    def failing():
        yield from records_with([1.0], model)
        model.output.bias.data.fill_(float("nan"))
        raise ValueError("the loss became nan")

    with pytest.raises(ValueError, match="nan"):
        keep_best(model, data, failing())
    assert model.output.bias.tolist() == [1] * support.N_CLASSES


# What it refuses


def test_a_loss_that_is_no_number_gets_a_sentence(model, data):
    model.output.weight.data[0, 0] = float("nan")
    with pytest.raises(ValueError, match=r"^the loss became nan in epoch 1: lower the learning rate$"):
        list(train(model, data, epochs=2))


def test_the_first_loss_that_is_no_number_ends_it_and_leaves_the_model_in_evaluation_mode(model, data):
    heard: list[float] = []
    model.output.weight.data[0, 0] = float("nan")
    with pytest.raises(ValueError, match="nan"):
        list(train(model, data, epochs=2, batch_size=50, progress=Progress(on_batch=heard.append)))
    assert heard == []
    assert not model.training


def test_layers_that_read_from_grids_train_and_the_grids_stay(data):
    network = quantize_activations(support.tiny_mlp(), data=data, bits=4)
    weight, scale = network.hidden2.weight.detach().clone(), network.hidden2.reads.scale.clone()
    list(train(network, data, epochs=1))
    assert not torch.equal(network.hidden2.weight, weight)
    assert torch.equal(network.hidden2.reads.scale, scale)


def test_a_loss_without_end_gets_a_sentence(data):
    model = support.tiny_mlp()
    model.output.weight.data.fill_(0).view(-1)[0] = 3e38
    model.output.bias.data.copy_(torch.tensor([-3e38, 3e38, 0.0]))
    with pytest.raises(ValueError, match=r"^the loss became (inf|nan) in epoch 1"):
        list(train(model, data, epochs=1, learning_rate=1e-9))


@pytest.mark.parametrize("settings", [{"epochs": 0}, {"epochs": -1}, {"epochs": 1, "batch_size": 0}])
def test_no_epochs_and_empty_batches_are_refused(settings, model, data):
    with pytest.raises(ValueError, match="epochs and batch_size must be at least 1, not epochs="):
        next(train(model, data, **settings))


def test_kernels_that_a_gradient_would_crash_on_are_stored_plainly():
    narrow, wide = models.build("resnet8", sizes=(4,)), models.build("resnet8", sizes=(16,))
    before = copy.deepcopy(narrow.state_dict())
    safe_layout(narrow)
    safe_layout(wide)
    kernels = [layer.weight for layer in narrow.modules() if isinstance(layer, nn.Conv2d)]
    assert kernels
    assert all(kernel.is_contiguous() for kernel in kernels)
    assert all(torch.equal(tensor, before[name]) for name, tensor in narrow.state_dict().items())
    assert not wide.block1.conv1.weight.is_contiguous(), "wide networks keep the faster layout"


TRAIN_A_NARROW_RESNET = """
import support
from efflab import models
from efflab.training import train
model = models.build("resnet8", shape=support.SHAPE, n_classes=support.N_CLASSES, sizes=(4,))
list(train(model, support.tiny_data(n=300), epochs=3, learning_rate=0.01, seed=0))
print("trained")
"""


@pytest.mark.slow
def test_a_resnet_with_few_channels_trains_and_the_process_lives():
    folder = str(Path(support.__file__).parent)
    run = [sys.executable, "-c", f"import sys; sys.path.insert(0, {folder!r})\n{TRAIN_A_NARROW_RESNET}"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "trained\n"

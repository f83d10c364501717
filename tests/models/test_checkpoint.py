"""Checkpoints: what is saved comes back bit for bit, and anything else is refused in one sentence."""

import dataclasses
import hashlib
import json
import os
import pickle
from pathlib import Path

import pytest
import support
import torch
from safetensors.torch import save as save_tensors
from torch import nn

from efflab import shipped
from efflab.models import Architecture, Card, CheckpointError, Network, build, build_from, card, load, names, save
from efflab.prune import prune_filters, prune_neurons

CARD = Card(
    architecture=Architecture("cnn", (1, 8, 8), 3, (2,)),
    data="digits",
    seed=5,
    epochs=2,
    validation=(0.9, 0.85, 0.95),
    test=(0.8, 0.7, 0.9),
)


def network(seed: int = 0) -> Network:
    made = build("cnn", seed=seed, shape=(1, 8, 8), n_classes=3, sizes=(2,))
    made.norm1.running_mean.fill_(0.1)
    made.norm1.num_batches_tracked.fill_(12)
    made.output.bias.data[0] = -0.0
    return made


@pytest.fixture
def saved(tmp_path) -> Path:
    return save(network(), tmp_path / "mine", CARD)


def replace_weights(path: Path, content: bytes) -> None:
    """Other weights with a card that vouches for them, as somebody who forges would do."""
    path.write_bytes(content)
    edit_card(path, sha256=hashlib.sha256(content).hexdigest())


def edit_card(path: Path, **fields: object) -> None:
    about = path.with_suffix(".json")
    about.write_text(json.dumps(json.loads(about.read_text()) | fields))


def refusal(path: Path | str) -> str:
    """The sentence of the refusal."""
    with pytest.raises(CheckpointError) as caught:
        load(path)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


# What is saved comes back


def test_a_network_comes_back_bit_for_bit(saved):
    loaded = load(saved)
    expected = network().state_dict()
    assert loaded.state_dict().keys() == expected.keys()
    for name, tensor in loaded.state_dict().items():
        assert tensor.dtype == expected[name].dtype
        assert tensor.contiguous().numpy().tobytes() == expected[name].contiguous().numpy().tobytes(), name


def test_it_comes_back_in_evaluation_mode_ready_to_be_trained_with_its_architecture(saved):
    loaded = load(saved)
    assert not any(module.training for module in loaded.modules())
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    assert loaded.architecture == CARD.architecture
    assert loaded.conv2.weight.is_contiguous(memory_format=torch.channels_last)


def test_the_card_comes_back_with_the_checksum_of_the_weights(saved):
    checksum = hashlib.sha256(saved.read_bytes()).hexdigest()
    assert card(saved) == dataclasses.replace(CARD, sha256=checksum)


def test_a_loaded_network_can_be_saved_again_to_the_same_bytes(saved, tmp_path):
    again = save(load(saved), tmp_path / "again", CARD)
    assert again.read_bytes() == saved.read_bytes()
    assert again.with_suffix(".json").read_text() == saved.with_suffix(".json").read_text()


def test_a_checkpoint_is_found_with_and_without_its_ending_as_text_and_as_path(saved):
    bare = saved.with_suffix("")
    found = [load(one).output.weight for one in (saved, str(saved), bare, str(bare))]
    assert all(torch.equal(weight, found[0]) for weight in found)


def test_names_that_differ_after_a_dot_are_two_files(tmp_path):
    first = save(network(1), tmp_path / "pruned-0.8", CARD)
    second = save(network(2), tmp_path / "pruned-0.9", CARD)
    assert (first.name, second.name) == ("pruned-0.8.safetensors", "pruned-0.9.safetensors")
    assert torch.equal(load(tmp_path / "pruned-0.8").conv1.weight, network(1).conv1.weight)
    assert torch.equal(load(tmp_path / "pruned-0.9").conv1.weight, network(2).conv1.weight)


def test_saving_makes_the_folder_and_leaves_only_the_two_files(tmp_path):
    path = save(network(), tmp_path / "new" / "folder" / "mine", CARD)
    assert sorted(file.name for file in path.parent.iterdir()) == ["mine.json", "mine.safetensors"]


def test_a_write_that_fails_leaves_what_was_there(saved, monkeypatch):
    before = saved.read_bytes()

    def full(*paths: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        save(network(1), saved, CARD)
    assert saved.read_bytes() == before
    assert len(list(saved.parent.iterdir())) == 2


def test_weights_of_another_network_than_the_card_says_are_not_saved(tmp_path):
    with pytest.raises(CheckpointError, match=r"the model's weights are not those of Architecture.*'cnn'"):
        save(build("mlp"), tmp_path / "mine", CARD)
    assert list(tmp_path.iterdir()) == []


# A network that was cut

RESNET = dataclasses.replace(CARD, architecture=Architecture("resnet8", (1, 8, 8), 3, (8,)))


def cut() -> Network:
    """A resnet8 with half of its channels, whose batch norms remember numbers of their own."""
    network = build_from(RESNET.architecture)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 1.5, generator=torch.Generator().manual_seed(1))
    return prune_filters(network, data=support.tiny_data(), ratio=0.5)


@pytest.fixture
def saved_cut(tmp_path) -> Path:
    return save(cut(), tmp_path / "small", RESNET)


def test_a_network_that_was_cut_comes_back_small_and_gives_the_same_answers_bit_for_bit(saved_cut):
    loaded, expected = load(saved_cut), cut()
    images = support.tiny_data().test.images
    assert {name: one.shape for name, one in loaded.state_dict().items()} == {
        name: one.shape for name, one in expected.state_dict().items()
    }
    assert loaded.block2.shortcut.in_channels == loaded.block2.norm1.num_features - 4 == 4
    assert support.bits(loaded) == support.bits(expected)
    assert torch.equal(loaded(images), expected(images))
    assert loaded.architecture == RESNET.architecture


def test_the_card_names_the_widths_of_the_narrower_layers_alone(tmp_path):
    network = prune_neurons(build("mlp", shape=support.SHAPE, sizes=(12, 8)), data=support.tiny_data(), ratio=0.5)
    about = dataclasses.replace(CARD, architecture=network.architecture)
    shapes = card(save(network, tmp_path / "mlp", about)).shapes
    assert shapes == {"hidden1": {"out": 6, "in": 64}, "hidden2": {"out": 4, "in": 6}, "output": {"out": 10, "in": 4}}
    whole = save(build_from(about.architecture), tmp_path / "whole", about)
    assert card(whole).shapes == {}


def test_a_card_from_before_networks_were_cut_has_no_shapes_and_loads(saved):
    about = saved.with_suffix(".json")
    fields = json.loads(about.read_text())
    assert fields.pop("shapes") == {}
    about.write_text(json.dumps(fields))
    assert support.bits(load(saved)) == support.bits(network())
    assert card(saved).shapes == {}


def test_saved_again_a_network_that_was_cut_gives_the_same_bytes(saved_cut, tmp_path):
    again = save(load(saved_cut), tmp_path / "again", RESNET)
    assert again.read_bytes() == saved_cut.read_bytes()
    assert again.with_suffix(".json").read_text() == saved_cut.with_suffix(".json").read_text()


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        (5, "shapes must be {layer:"),
        ([["conv1", 3]], "shapes must be {layer:"),
        ({"conv9": {"out": 1}}, "shapes names the layer 'conv9', and Network has none of that name"),
        ({"relu1": {"out": 1}}, "layer 'relu1' is a ReLU, which has no width"),
        ({"conv1": 4}, "the shapes of 'conv1' must be out, in, groups"),
        ({"conv1": {"out": 4, "in": 1}}, "the shapes of 'conv1' must be out, in, groups"),
        ({"conv1": {"out": 4.0, "in": 1, "groups": 1}}, "'out' of 'conv1' must be a whole number from 1 to 8, not 4.0"),
        ({"conv1": {"out": True, "in": 1, "groups": 1}}, "'out' of 'conv1' must be a whole number from 1 to 8"),
        ({"conv1": {"out": 0, "in": 1, "groups": 1}}, "'out' of 'conv1' must be a whole number from 1 to 8, not 0"),
        ({"conv1": {"out": 9, "in": 1, "groups": 1}}, "'out' of 'conv1' must be a whole number from 1 to 8, not 9"),
        ({"conv1": {"out": 10**18, "in": 1, "groups": 1}}, "'out' of 'conv1' must be a whole number from 1 to 8"),
        ({"conv1": {"out": "4", "in": 1, "groups": 1}}, "'out' of 'conv1' must be a whole number from 1 to 8, not '4'"),
        ({"conv1": {"out": 4, "in": 1, "groups": 2}}, "'groups' of 'conv1' must be a whole number from 1 to 1"),
    ],
)
def test_shapes_that_no_surgery_leaves_are_refused(shapes, reason, saved_cut):
    edit_card(saved_cut, shapes=shapes)
    sentence = refusal(saved_cut)
    assert sentence.startswith(f"{saved_cut.with_suffix('.json')} does not name a network of efflab: ")
    assert reason in sentence


@pytest.mark.parametrize("shapes", [{}, {"conv1": {"out": 3, "in": 1, "groups": 1}}])
def test_shapes_that_are_not_those_of_the_weights_are_refused(shapes, saved_cut):
    edit_card(saved_cut, shapes=shapes)
    assert f"{saved_cut} does not hold the weights of Architecture(name='resnet8'" in refusal(saved_cut)


def test_weights_of_another_type_of_number_are_refused(saved):
    tensors = {name: tensor.double().contiguous() for name, tensor in network().state_dict().items()}
    replace_weights(saved, save_tensors(tensors))
    assert "'conv1.weight' is torch.float64 in the file, and torch.float32 in the model" in refusal(saved)


@pytest.mark.parametrize("sizes", [[20_000, 20_000], [10**30]])
def test_a_card_that_asks_for_all_of_the_memory_is_refused(sizes, saved):
    edit_card(saved, architecture={"name": "mlp", "shape": [1, 8, 8], "n_classes": 3, "sizes": sizes})
    assert "has more than 100,000,000 numbers" in refusal(saved)


# What is refused


def test_a_single_changed_byte_anywhere_is_noticed(saved):
    content = saved.read_bytes()
    for position in (0, 9, len(content) // 2, len(content) - 1):
        damaged = bytearray(content)
        damaged[position] ^= 1
        saved.write_bytes(damaged)
        assert f"{saved} is damaged or belongs to another card" in refusal(saved)


@pytest.mark.parametrize("n_bytes", [0, 5, 400, -1])
def test_a_truncated_file_is_refused_even_when_its_card_vouches_for_it(n_bytes, saved):
    content = saved.read_bytes()[:n_bytes]
    saved.write_bytes(content)
    assert "is damaged or belongs to another card" in refusal(saved)
    replace_weights(saved, content)
    assert f"{saved} does not hold the weights of Architecture(name='cnn'" in refusal(saved)


def test_an_exchanged_card_is_refused(saved, tmp_path):
    other = save(network(1), tmp_path / "other", CARD)
    saved.with_suffix(".json").write_bytes(other.with_suffix(".json").read_bytes())
    assert f"{saved} is damaged or belongs to another card: its checksum is not the one in mine.json" in refusal(saved)


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"bert.encoder.weight": torch.ones(3)},
        {name: tensor.contiguous() for name, tensor in build("mlp").state_dict().items()},
        {name: torch.ones(1) for name in network().state_dict()},
    ],
)
def test_a_safetensors_file_of_another_network_is_refused(tensors, saved):
    replace_weights(saved, save_tensors(tensors))
    assert f"{saved} does not hold the weights of Architecture(name='cnn'" in refusal(saved)


class Payload:
    """Runs code when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.trace),))


@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_a_pickle_in_disguise_is_refused_and_its_code_does_not_run(kind, saved, tmp_path):
    trace = tmp_path / "the code ran"
    disguised = tmp_path / "disguised"
    if kind == "pickle":
        disguised.write_bytes(pickle.dumps(Payload(trace)))
    else:
        torch.save({"weight": Payload(trace)}, disguised)
    replace_weights(saved, disguised.read_bytes())
    assert f"{saved} does not hold the weights of" in refusal(saved)
    assert not trace.exists()
    if kind == "pickle":  # and the payload is a live one
        pickle.loads(disguised.read_bytes())
        assert trace.exists()


def test_a_missing_file_is_named(tmp_path):
    assert f"{tmp_path / 'none.safetensors'} does not exist" in refusal(tmp_path / "none")


def test_a_missing_card_is_named(saved):
    saved.with_suffix(".json").unlink()
    assert f"{saved.with_suffix('.json')} is missing" in refusal(saved)


def test_a_missing_weights_file_is_named_though_the_card_is_there(saved):
    saved.unlink()
    assert f"{saved} does not exist" in refusal(saved)


def test_an_unknown_name_is_refused_with_the_known_ones():
    sentence = refusal("no-such-checkpoint")
    assert "no checkpoint 'no-such-checkpoint' comes along; there are: " in sentence
    assert sentence.endswith(", ".join(names()) or "none")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"seed": ' + b"1" * 5000 + b"}",
        b"[]",
        b"null",
        b"5",
        b"{}",
        b"\xff\xfe\x00",
        b'{"architecture": "cnn"}',
        b'{"architecture": {"name": "cnn"}}',
    ],
)
def test_a_card_that_is_none_is_refused(content, saved):
    about = saved.with_suffix(".json")
    about.write_bytes(content)
    assert refusal(saved).startswith(f"{about} is not a card of an efflab checkpoint")


@pytest.mark.parametrize("fields", [{"author": "somebody"}, {"validation": None}, {"test": 0.5}])
def test_a_card_with_other_fields_is_refused(fields, saved):
    edit_card(saved, **fields)
    assert "mine.json is not a card of an efflab checkpoint" in refusal(saved)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("name", "vgg", "name must be one of mlp, lenet5, cnn, resnet8, vit, not 'vgg'"),
        ("name", ["cnn"], "not name a network"),
        ("shape", [8, 8], "shape must be three positive numbers"),
        ("shape", "abc", "shape must be three positive numbers"),
        ("shape", [1, 8.5, 8], "shape must be three positive numbers"),
        ("n_classes", "3", "n_classes must be 2 or more"),
        ("sizes", [2, 2], "cnn takes 0 or 1 sizes"),
        ("sizes", ["2"], "sizes must be positive whole numbers"),
    ],
)
def test_a_card_of_a_network_that_we_do_not_know_is_refused(field, value, reason, saved):
    edit_card(saved, architecture=dataclasses.asdict(CARD.architecture) | {field: value})
    sentence = refusal(saved)
    assert sentence.startswith(f"{saved.with_suffix('.json')} does not name a network of efflab")
    assert reason in sentence


# What comes along


def test_every_checkpoint_that_comes_along_loads_and_fits_its_card():
    found = names()
    assert found, f"no checkpoints in {shipped.folder('checkpoints')}: make them with the script in tools/"
    for name in found:
        about = card(name)
        assert load(name).architecture == about.architecture
        assert about.test[1] <= about.test[0] <= about.test[2]
        assert about.validation[1] <= about.validation[0] <= about.validation[2]

"""Weights of any module: a pruned one comes back, and a file that does not fit leaves the module as it was."""

import hashlib
import json
from pathlib import Path

import pytest
import support
import torch
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from efflab.models import CheckpointError, build, layer_shapes, load_weights, save_weights
from efflab.prune.structure import prune_filters, prune_neurons


class Own(nn.Module):
    """A network that somebody brings along: a depthwise convolution, a sum, dropout, and hidden neurons."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.norm = nn.BatchNorm2d(8)
        self.hidden = nn.Linear(8 * 64, 10)
        self.dropout = nn.Dropout(0.5)
        self.output = nn.Linear(10, 3)
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():
            nn.init.normal_(parameter, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).relu()
        x = x + self.norm(self.depthwise(x)).relu()
        return self.output(self.dropout(self.hidden(x.flatten(1)).relu()))


@pytest.fixture
def pruned() -> nn.Module:
    data = support.tiny_data()
    return prune_neurons(prune_filters(Own().eval(), data=data, ratio=0.5), data=data, ratio=0.3)


@pytest.fixture
def saved(pruned, tmp_path) -> Path:
    return save_weights(pruned, tmp_path / "mine")


def edit(path: Path, **fields: object) -> None:
    about = path.with_suffix(".json")
    about.write_text(json.dumps(json.loads(about.read_text()) | fields))


def refusal(path: Path, model: nn.Module) -> str:
    """The sentence of the refusal; the model must stay as it was."""
    before, shapes = support.bits(model), layer_shapes(model)
    with pytest.raises(CheckpointError) as caught:
        load_weights(path, model)
    assert support.bits(model) == before
    assert layer_shapes(model) == shapes
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_pruned_network_comes_back_with_the_same_answers_bit_for_bit(saved, pruned):
    fresh = Own(seed=1)
    before, images = support.bits(fresh), support.tiny_data().test.images
    loaded = load_weights(saved, fresh)
    assert torch.equal(loaded(images), pruned(images))
    assert support.bits(loaded) == support.bits(pruned)
    assert (loaded.depthwise.groups, loaded.hidden.in_features, loaded.hidden.out_features) == (4, 4 * 64, 7)
    assert support.bits(fresh) == before
    assert support.storages(fresh).isdisjoint(support.storages(loaded))
    assert not loaded.training


def test_it_can_be_saved_again_to_the_same_bytes(saved, tmp_path):
    again = save_weights(load_weights(saved, Own()), tmp_path / "again")
    assert again.read_bytes() == saved.read_bytes()
    assert again.with_suffix(".json").read_text() == saved.with_suffix(".json").read_text()


def test_tied_weights_come_back_tied(tmp_path):
    def tied() -> nn.Module:
        model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
        model[1].weight = model[0].weight
        return model

    model = tied()
    loaded = load_weights(save_weights(model, tmp_path / "tied"), tied())
    assert loaded[0].weight is loaded[1].weight
    assert torch.equal(loaded[0].weight, model[0].weight)


def test_a_module_of_another_class_is_refused(saved):
    assert refusal(saved, build("mlp")) == f"{saved} holds the weights of a 'Own', and the model is a 'Network'"


def test_a_module_that_was_cut_already_is_refused(saved, pruned):
    smaller = prune_filters(Own().eval(), data=support.tiny_data(), ratio=0.8)
    sentence = refusal(saved, smaller)
    assert "does not fit this Own: 'out' of 'first' must be a whole number from 1 to 2, not 4" in sentence


def test_a_layer_that_the_module_does_not_have_is_named(saved):
    fresh = Own()
    del fresh.depthwise
    assert "does not fit this Own: shapes names the layer 'depthwise', and Own has none" in refusal(saved, fresh)


def test_a_layer_that_the_file_does_not_have_is_named(saved):
    fresh = Own()
    fresh.extra = nn.Linear(2, 2)
    assert "does not hold the weights of this Own" in (sentence := refusal(saved, fresh))
    assert "extra.weight" in sentence


def test_exchanged_weights_are_refused(saved, tmp_path):
    other = save_weights(Own(), tmp_path / "other")
    saved.write_bytes(other.read_bytes())
    assert "is damaged or belongs to another card: its checksum is not the one in mine.json" in refusal(saved, Own())


def test_weights_of_other_shapes_are_refused_even_when_the_checksum_is_theirs(saved, tmp_path):
    content = save_weights(Own(), tmp_path / "other").read_bytes()
    saved.write_bytes(content)
    edit(saved, sha256=hashlib.sha256(content).hexdigest())
    assert "does not hold the weights of this Own" in refusal(saved, Own())


def test_weights_of_another_type_of_number_are_refused(saved):
    fresh = Own().double()
    assert "'first.weight' is torch.float32 in the file, and torch.float64 in the model" in refusal(saved, fresh)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_json_that_is_damaged_is_refused(content, saved):
    saved.with_suffix(".json").write_bytes(content)
    assert f"{saved.with_suffix('.json')} is not a card of an efflab checkpoint" in refusal(saved, Own())


@pytest.mark.parametrize(("field", "value"), [("shapes", None), ("shapes", {"first": [4]}), ("class", None)])
def test_fields_of_another_type_are_refused(field, value, saved):
    edit(saved, **{field: value})
    refusal(saved, Own())


def test_the_card_of_a_checkpoint_is_not_what_is_looked_for(saved):
    edit(saved, architecture="cnn")
    assert "mine.json is not what save_weights writes: class, shapes and sha256" in refusal(saved, Own())


def test_missing_files_are_named(saved, tmp_path):
    assert f"{tmp_path / 'none.safetensors'} does not exist" in refusal(tmp_path / "none", Own())
    saved.with_suffix(".json").unlink()
    assert f"{saved.with_suffix('.json')} is missing" in refusal(saved, Own())


def test_a_state_that_is_no_tensor_is_not_saved(tmp_path):
    class Counting(nn.Linear):
        def get_extra_state(self) -> int:
            return 5

    with pytest.raises(CheckpointError, match="'_extra_state' of the model is a int; only tensors can be saved"):
        save_weights(Counting(2, 2), tmp_path / "mine")
    assert list(tmp_path.iterdir()) == []


def test_a_safetensors_file_with_other_names_is_refused(saved):
    content = save_tensors({"bert.weight": torch.ones(3)})
    saved.write_bytes(content)
    edit(saved, sha256=hashlib.sha256(content).hexdigest())
    assert "does not hold the weights of this Own" in refusal(saved, Own())

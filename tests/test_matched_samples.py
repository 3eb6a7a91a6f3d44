"""Are the sides of the same samples? From outside: what shows it, and what does not."""

import pytest
import torch
from torch import nn

import hooksim

N, SIZE = 24, 8
ORDER = torch.randperm(N, generator=torch.Generator().manual_seed(3))
X = torch.randn(N, 5, 6, generator=torch.Generator().manual_seed(0))
IDS = torch.randint(1, 20, (N, 5), generator=torch.Generator().manual_seed(1))
ONES = torch.ones(N, 5, dtype=torch.int64)
LABELS = torch.zeros(N, dtype=torch.int64)


class Speech(nn.Module):
    """Takes sound and its mask."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 4)

    def forward(self, input_values, attention_mask=None):
        return self.layer(input_values)


class Embedded(Speech):
    """Takes vectors of tokens and their mask."""

    def forward(self, inputs_embeds, attention_mask=None):
        return self.layer(inputs_embeds)


class Features(Speech):
    """Takes features, and labels that it could do without."""

    def forward(self, input_features, labels=None):
        return self.layer(input_features)


class Both(Speech):
    """Takes a caption and an image."""

    def forward(self, input_ids, pixel_values, attention_mask=None):
        return self.layer(pixel_values)


class Image(Speech):
    """Takes an image."""

    def forward(self, pixel_values):
        return self.layer(pixel_values)


def batches(**keys):
    parts = zip(*(value.split(SIZE) for value in keys.values()), strict=True)
    return [dict(zip(keys, part, strict=True)) for part in parts]


def recorded(model, loader, **options):
    return hooksim.record(model, loader, "layer", progress=False, **options)


def matched(a, b, loader=None, **options) -> str:
    options = {"measures": "cka", "layers_a": None, "progress": False, **options}
    return hooksim.compare(a, b, loader, **options).metadata["matched_by"]


SHUFFLED = {
    "sound": (Speech, lambda x: {"attention_mask": ONES, "input_values": x}),
    "vectors": (Embedded, lambda x: {"attention_mask": ONES, "inputs_embeds": x}),
    "labels": (Features, lambda x: {"labels": LABELS, "input_features": x}),
    "caption": (Both, lambda x: {"input_ids": IDS, "pixel_values": x}),
}


@pytest.mark.parametrize("name", SHUFFLED)
@pytest.mark.parametrize("own_forward", [False, True])
def test_other_samples_are_refused_whatever_else_is_the_same(name, own_forward):
    kind, keys = SHUFFLED[name]
    model = kind()
    options = {}
    if own_forward:
        model = nn.Sequential()
        model.add_module("layer", nn.Linear(6, 4))
        options["forward"] = lambda model, batch: model(list(batch.values())[-1])
    first = recorded(model, batches(**keys(X)), **options)
    again = recorded(model, batches(**keys(X)), **options)
    other = recorded(model, batches(**keys(X[ORDER])), **options)
    assert matched(first, again) == "inputs"
    with pytest.raises(hooksim.AlignmentError, match="sample 0 went into recording A with other"):
        matched(first, other)
    if not own_forward:
        with pytest.raises(hooksim.AlignmentError, match="with other values"):
            matched(first, model, batches(**keys(X[ORDER])))


def test_models_that_take_other_keys_are_matched_by_those_that_both_take():
    both = recorded(Both(), batches(input_ids=IDS, pixel_values=X, attention_mask=ONES))
    image = recorded(Image(), batches(pixel_values=X))
    other = recorded(Image(), batches(pixel_values=X[ORDER]))
    assert matched(both, image) == matched(image, both) == "inputs"
    with pytest.raises(hooksim.AlignmentError, match=r"\(pixel_values: float32\[5, 6\], hashes"):
        matched(both, other)
    assert matched(both, recorded(Speech(), batches(input_values=X[ORDER]))) == "counts"


def test_a_tensor_is_matched_with_the_only_key_of_the_other_side():
    model = nn.Sequential()
    model.add_module("layer", nn.Linear(6, 4))
    image = recorded(Image(), batches(pixel_values=X))
    assert matched(recorded(model, X.split(SIZE)), image) == "inputs"
    with pytest.raises(hooksim.AlignmentError, match="with other values"):
        matched(recorded(model, X[ORDER].split(SIZE)), image)


def test_the_way_out_of_two_preprocessings():
    loaders = [batches(pixel_values=X), batches(pixel_values=X * 2 - 1)]
    with pytest.raises(hooksim.AlignmentError) as error:
        matched(*(recorded(Image(), loader) for loader in loaders))
    assert str(error.value).endswith(
        " Both must see the same samples in the same order. If each model has its own "
        "preprocessing or tokenizer, give both sides sample_ids."
    )
    for loader in loaders:
        for number, batch in enumerate(loader):
            batch["sample_ids"] = list(range(SIZE * number, SIZE * (number + 1)))
    assert matched(*(recorded(Image(), loader) for loader in loaders)) == "sample_ids"


@pytest.mark.parametrize("order", [1, -1])
def test_the_weakest_match_of_any_batch_counts(order):
    loaders = [batches(input_values=X)[::order], batches(input_values=X)[::order]]
    padded = torch.cat([loaders[1][-1]["input_values"], torch.zeros(SIZE, 2, 6)], 1)
    loaders[1][-1] = {"input_values": padded}
    assert matched(*(recorded(Speech(), loader[::order]) for loader in loaders)) == "counts"


def with_ids(loader, ids):
    return [{**batch, "sample_ids": ids[:SIZE]} for batch in loader]


def test_repeated_ids_show_nothing_and_inputs_are_compared_too():
    ids = list("abcdefgh")  # once in each of the three batches
    first = recorded(Image(), with_ids(batches(pixel_values=X), ids))
    again = recorded(Image(), with_ids(batches(pixel_values=X), ids))
    swapped = recorded(Image(), with_ids(batches(pixel_values=X.roll(SIZE, 0)), ids))
    assert matched(first, again) == "inputs"
    assert matched(first, Image(), with_ids(batches(pixel_values=X), ids)) == "inputs"
    with pytest.raises(hooksim.AlignmentError, match="sample 0 went into recording A with other"):
        matched(first, swapped)
    with pytest.raises(hooksim.AlignmentError, match=r"sample ids .* sample 1 is 'b' for .* 'c'"):
        matched(first, recorded(Image(), with_ids(batches(pixel_values=X), list("acbdefgh"))))


def test_repeated_ids_without_inputs_leave_the_counts_and_warn():
    one, two = (
        hooksim.Recording.from_tensors({"x": X[:, 0]}, sample_ids=[0, *range(N - 1)])
        for _ in range(2)
    )
    result = hooksim.compare(one, two, measures="cka", progress=False)
    assert result.metadata["matched_by"] == "counts"
    codes = [note["code"] for note in result.metadata["warnings"]]
    assert codes.count("repeated_sample_ids") == 2
    assert "repeated_sample_ids" not in [note["code"] for note in result.metadata["notes"]]

"""What modules are fed: with hooks on all of them at first, on few later."""

from contextlib import contextmanager

import pytest
import torch
from torch import nn

import hooksim
from hooksim.capture import feeding as feeding_file
from hooksim.capture.feeding import Feeding, half_by_name
from hooksim.capture.hooks import input_hooks, output_hooks
from hooksim.capture.layers import named_layers

IDS = torch.tensor([[5, 6, 7], [8, 9, 4]])
MASK = {"attention_mask": (2, 3)}


def feeding_of(model, has_decoder=False):
    return Feeding(model, named_layers(model), has_decoder)


@contextmanager
def watched(feeding, inputs, masks=None):
    feeding.expect(inputs, masks or {})
    with input_hooks(feeding.inputs()), output_hooks(feeding.outputs()):
        yield
    seen = {length: feeding.wider("encoder", length) for length in range(9)}
    feeding.seen = {length: place for length, place in seen.items() if place is not None}
    feeding.rest()


class Wider(nn.Module):
    """Looks its tokens up among others."""

    def __init__(self, left=0, multiple=1, value=0):
        super().__init__()
        self.embedding = nn.Embedding(60, 4, padding_idx=0)
        self.inner = nn.Linear(4, 4)
        self.left, self.multiple, self.value = left, multiple, value

    def forward(self, input_ids, **others):
        more = -input_ids.shape[1] % self.multiple
        ids = nn.functional.pad(input_ids, (self.left, more), value=self.value)
        return self.inner(self.embedding(ids))


def test_towers_are_fed_by_the_batch():
    class Towers(nn.Module):
        def __init__(self):
            super().__init__()
            self.text, self.image, self.other = nn.Identity(), nn.Identity(), nn.Identity()

        def forward(self, input_ids, pixel_values):
            return self.other(self.text(input_ids.view(2, 3)) + 1), self.image(pixel_values)

    model = Towers()
    inputs = {"input_ids": IDS, "pixel_values": torch.zeros(2, 3, 8, 8)}
    feeding = feeding_of(model)
    with watched(feeding, inputs, MASK):
        model(**inputs)
    assert feeding.towers == {"text": "attention_mask", "image": None}


@pytest.mark.parametrize(
    ("model", "seen"),
    [
        (Wider(), {}),
        (Wider(multiple=4), {4: (0, 3)}),
        (Wider(left=2), {5: (2, 3)}),
        (Wider(left=2, value=50), {}),  # not padding: a token of the model's own
    ],
)
def test_padding_around_the_tokens(model, seen):
    feeding = feeding_of(model)
    with watched(feeding, {"input_ids": IDS}):
        model(IDS)
    assert feeding.seen == seen


def test_another_width_of_padding_is_seen_with_few_hooks():
    model = Wider(multiple=4)
    feeding = feeding_of(model)
    for width, place in ((4, {}), (3, {4: (0, 3)}), (2, {4: (0, 2)}), (3, {4: (0, 3)})):
        ids = torch.arange(2 * width).view(2, width) + 5
        with watched(feeding, {"input_ids": ids}):
            hooks = [name for name, each in named_layers(model).items() if each._forward_pre_hooks]
            assert hooks == (["embedding", "inner"] if width == 4 else ["embedding"])
            model(ids)
        assert {length: feeding.seen[length] for length in place} == place


def test_tokens_that_stand_at_several_places_are_at_none():
    feeding, model = feeding_of(Wider()), Wider(left=1)
    with watched(feeding, {"input_ids": torch.zeros(2, 3).long()}):
        model(torch.zeros(2, 3).long())
    assert feeding.seen == {}


class Halves(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Embedding(60, 4)
        self.encoder = nn.Linear(4, 4)
        self.decoder = nn.ModuleDict({name: nn.Linear(4, 4) for name in ("k", "own", "mixed")})
        self.between = nn.Linear(4, 4)

    def forward(self, input_ids, decoder_input_ids):
        memory = self.between(self.encoder(self.shared(input_ids)))
        own = self.decoder["own"](self.shared(decoder_input_ids))
        return self.decoder["mixed"](self.decoder["k"](memory) + own)


def test_halves_are_followed_through_the_forward():
    model, others = Halves(), IDS.flip(1)
    inputs = {"input_ids": IDS, "decoder_input_ids": others}
    feeding = feeding_of(model, True)
    with watched(feeding, inputs):
        model(**inputs)
    assert feeding.fed == {
        "shared": "decoder",  # its latest call
        "encoder": "encoder",
        "between": "encoder",
        "decoder.k": "encoder",
        "decoder.own": "decoder",
        "decoder.mixed": None,
    }
    assert feeding.unsure == set()
    assert feeding.lengths == {}  # nothing of the batch is kept
    with watched(feeding, inputs):
        model.shared(IDS)
    assert feeding.fed["shared"] == "encoder"


def test_images_are_not_watched():
    model = nn.Sequential(nn.Conv2d(3, 4, 3))
    feeding = feeding_of(model)
    with watched(feeding, {"pixel_values": torch.zeros(2, 3, 8, 8)}):
        assert not model[0]._forward_pre_hooks


def test_a_half_by_name():
    assert half_by_name("encoder.layer.0") == "encoder"
    assert half_by_name("model.decoder.encoder") == "decoder"
    assert half_by_name("encoders.0") is None


class Positions(nn.Module):
    """Looks up more integers than there are tokens, which are no tokens themselves."""

    def __init__(self):
        super().__init__()
        self.tokens, self.places, self.out = nn.Embedding(9, 4), nn.Embedding(9, 4), nn.Linear(4, 4)

    def forward(self, input_ids):
        places = torch.arange(input_ids.shape[1] + 2).expand(len(input_ids), -1)
        return self.out(self.tokens(input_ids) + self.places(places)[:, 2:])


def test_numbers_that_are_no_padding_are_looked_at_once(monkeypatch):
    looked = []
    holds_only = feeding_file._holds_only
    monkeypatch.setattr(
        feeding_file, "_holds_only", lambda *given: looked.append(1) or holds_only(*given)
    )
    batches = [{"input_ids": torch.randint(1, 9, (4, length))} for length in (3, 4, 5, 6)]
    hooksim.record(Positions(), batches, "out", progress=False)
    assert len(looked) == 1

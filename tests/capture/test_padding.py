"""Padding without a mask is warned of, and nothing else is taken for it."""

import pytest
import torch
from torch import nn

import hooksim
from hooksim.capture.padding import UnmaskedPadding
from tests.capture.tiny_models import text_batch, tiny

PADDED = torch.tensor([[5, 6, 7, 8], [5, 6, 0, 0]])


def found(ids, *others, mask=None):
    watch = UnmaskedPadding(nn.Embedding(90, 4, padding_idx=0), ["attention_mask"])
    for batch in (ids, *others):
        inputs = {"input_ids": batch, "attention_mask": mask}
        watch.look({"input_ids": batch}, inputs)
    return watch.found


@pytest.mark.parametrize("ids", [PADDED, PADDED.flip(1), PADDED.int()])
def test_runs_at_either_end_are_padding(ids):
    assert found(ids) == (
        "'input_ids' ends or begins in runs of the padding token 0, and no 'attention_mask' came, "
        "so the rows hold padding. Give the mask of what is real too."
    )


def test_a_later_batch_is_looked_at_too():
    assert found(PADDED[:1], PADDED)


@pytest.mark.parametrize(
    "ids",
    [
        PADDED[:1],
        torch.tensor([[5, 6, 7, 0], [5, 6, 7, 8]]),  # a token that happens to be last
        torch.tensor([[5, 0, 7, 8], [5, 6, 0, 0]]),  # one that stands in the middle too
        torch.zeros(3, 4).long(),  # a stand-in for an input
        PADDED.float(),
        torch.randint(0, 90, (64, 20), generator=torch.Generator().manual_seed(0)),
        PADDED[:, :, None],
        PADDED[:0],
        PADDED.to("meta"),
    ],
)
def test_what_is_no_padding(ids):
    assert not found(ids)


@pytest.mark.parametrize(
    "ids",
    [
        torch.tensor([[0, 5, 6, 7], [0, 5, 0, 0]]),  # of a token that begins each text too
        torch.tensor([[5, 6, 7, 0], [5, 0, 0, 0]]),  # or ends it
    ],
)
def test_padding_beside_the_same_token_in_the_texts(ids):
    assert found(ids)
    assert found(ids.flip(1))


def test_padding_is_at_one_end():
    assert not found(torch.tensor([[0, 0, 7, 8, 9], [5, 6, 7, 0, 0]]))


def test_a_token_that_stands_elsewhere_once_is_no_padding_later():
    assert not found(torch.tensor([[5, 0, 7, 8], [5, 6, 0, 0]]), PADDED)


STEPS = torch.ones(3, 5, 2)
STEPS[1, 3:] = 0
STEPS[2, 1:] = 0


def found_in(value, model=None, key="", **others):
    watch = UnmaskedPadding(model or nn.Linear(2, 2), ["attention_mask"])
    watch.look({key: value}, {key: value, **others} if key else others)
    return watch.found


@pytest.mark.parametrize("steps", [STEPS, STEPS.flip(1), STEPS.half()])
def test_steps_of_zeros_are_padding(steps):
    assert found_in(steps) == (
        "the input ends or begins in runs of zeros, and no 'attention_mask' came, so the rows hold "
        "padding. Give the mask of what is real too."
    )
    assert not found_in(steps, key="x", attention_mask=(steps != 0).all(dim=2))


@pytest.mark.parametrize(
    "steps",
    [
        STEPS[1:],  # no row that is full
        STEPS + torch.tensor([0.0, 1.0]),  # not zeros in every feature
        torch.cat([STEPS, STEPS.flip(1)]),  # at either end, as pictures have it
        torch.cat([STEPS, STEPS[:1] * 0]),  # a row of nothing
        STEPS[..., None],
        STEPS[:, :, 0],  # features
        STEPS[:, :2],
        STEPS.to("meta"),
    ],
)
def test_zeros_that_are_no_padding(steps):
    assert not found_in(steps)


def test_sound_is_padded_with_zeros():
    sound = STEPS[:, :, 0]
    assert found_in(sound, tiny("Wav2Vec2"), "input_values").startswith("'input_values' ends or b")
    assert not found_in(torch.ones(3, 5), tiny("Wav2Vec2"), "input_values")


@pytest.mark.parametrize("key", ["pixel_mask", "pixel_attention_mask"])
def test_a_mask_of_pixels_is_told_of(key):
    pixels, mask = torch.ones(2, 3, 4, 4), torch.ones(2, 4, 4)
    assert not found_in(pixels, key="pixel_values", **{key: mask})
    mask[1, 2:] = 0
    assert found_in(pixels, key="pixel_values", **{key: mask}) == (
        f"{key!r} marks pixels as padding, which no row policy leaves out, so the rows of images "
        "hold padding. Give images of one size."
    )
    assert not found_in(pixels, key="pixel_values", **{key: mask.to("meta")})


def test_a_mask_settles_it():
    watch = UnmaskedPadding(nn.Embedding(90, 4, padding_idx=0), ["attention_mask"])
    watch.look({"": PADDED}, {"src_key_padding_mask": PADDED == 0})
    assert not watch.found
    assert not found(PADDED, mask=PADDED > 0)


def codes(result):
    return [each["code"] for each in result.metadata["warnings"]]


@pytest.mark.parametrize("masked", [True, False])
def test_the_warning_reaches_the_result_and_a_recording(masked):
    batch = text_batch([3, 5, 4, 6] * 3)
    batch = batch if masked else {"input_ids": batch["input_ids"]}
    model, other = tiny("Bert"), tiny("Bert")
    result = hooksim.compare(model, other, [batch] * 2, progress=False)
    assert ("unmasked_padding" in codes(result)) is not masked
    recordings = [hooksim.record(each, [batch] * 2, progress=False) for each in (model, other)]
    assert ("unmasked_padding" in codes(hooksim.compare(*recordings))) is not masked

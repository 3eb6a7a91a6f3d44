import pytest
import torch
from torch import nn
from transformers import BatchEncoding

from hooksim.capture.hooks import capture_activations
from hooksim.capture.lost_masks import refuse_lost_masks
from hooksim.capture.reader import ModelReader, View
from hooksim.capture.rows import Rows
from hooksim.errors import ConfigError
from tests.capture.reading import START, values_of
from tests.capture.tiny_models import text_batch, tiny

KEYS = frozenset({"attention_mask"})
IDS = torch.tensor([[5, 6, 7], [5, 0, 0]])
MASK = (IDS > 0).long()


def refused(batch, own_forward=False, keys=KEYS):
    with pytest.raises(ConfigError) as error:
        refuse_lost_masks(batch, keys, own_forward=own_forward)
    return str(error.value)


def passes(batch, own_forward=False, keys=KEYS):
    refuse_lost_masks(batch, keys, own_forward=own_forward)


def test_the_error_of_a_tuple_says_what_to_do():
    assert refused((IDS, None, MASK)) == (
        "loader: element 2 of the tuple looks like the mask of element 0, and would be lost to the "
        "rows. Give a mapping such as {'input_ids': ..., 'attention_mask': ...}. If these are "
        "labels, call them 'labels' there."
    )
    assert refused([IDS, MASK], own_forward=True) == (
        "loader: element 1 of the list looks like the mask of element 0, and would be lost to the "
        "rows. Give a mapping with 'attention_mask', whose values reach forward as they are, or "
        "with another key for it and rows=hooksim.Rows(mask=...). If these are labels, call them "
        "'labels' there."
    )


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
@pytest.mark.parametrize("first", [IDS, IDS.float() + 0.5, torch.randn(2, 3, 8)])
def test_masks_of_tokens_audio_and_embeddings(first, dtype):
    assert "element 1" in refused((first, MASK.to(dtype)))


@pytest.mark.parametrize(
    "mask",
    [
        1 - MASK,
        MASK.float(),
        (MASK - 1.0) * 1e9,
        MASK[:, None],
        MASK[:, None, None].bool(),
        (MASK[:, None, None] - 1.0) * 1e4,
        MASK[:, None].expand(2, 3, 3),
        MASK[:, None, None].expand(2, 1, 3, 3).float(),
    ],
)
def test_masks_of_padding_and_for_attention(mask):
    assert "element 1" in refused((IDS, mask))
    assert "key 'mask'" in refused({"input_ids": IDS, "mask": mask})
    full = torch.zeros_like(mask) if mask.min() < 0 else torch.ones_like(mask)
    passes({"input_ids": IDS, "mask": full})


def test_a_mask_that_torch_names_is_read_and_not_lost():
    passes({"src": torch.randn(2, 3, 4), "src_key_padding_mask": MASK == 0})
    assert "key 'memory_key_padding_mask'" in refused(
        {"src": torch.randn(2, 3, 4), "memory_key_padding_mask": MASK == 0}
    )


def test_what_is_of_a_masks_shape_and_marks_no_ends():
    passes({"x": torch.randn(2, 3, 4), "causal": torch.ones(2, 3, 3).tril()})
    passes({"x": torch.randn(2, 3, 4), "hidden": torch.ones(2, 1, 3, 3).triu(1).bool()})
    passes({"x": torch.randn(2, 3, 4), "adjacency": MASK[:, None].expand(2, 3, 3)})
    passes({"x": torch.randn(2, 3, 4), "bias": -torch.rand(2, 1, 3, 3)})
    passes({"x": torch.randn(2, 3, 4), "other": MASK[:, None, None, None]})


@pytest.mark.parametrize("batch", [((IDS, MASK), 7), ({"input_ids": IDS}, MASK)])
def test_masks_beside_and_inside_a_first_element(batch):
    assert "element 1 of the tuple" in refused(batch)


@pytest.mark.parametrize(
    "other",
    [
        MASK / 2,
        torch.tensor([[1.0, 0, 1], [0, 1, 0]]),
        torch.tensor([[5, 6, 7], [0, 1, 1]]),
        torch.zeros(2, 3).long(),
        torch.tensor([[1, 0, 1], [0, 0, 0]]),
        torch.ones(2, 2).long(),
        torch.ones(2).long(),
        None,
        "mask",
    ],
)
def test_what_is_no_mask_of_a_tuple(other):
    passes((IDS, other))


def test_targets_of_binary_inputs_and_of_images_are_no_masks():
    passes(((IDS > 0).float(), MASK))
    passes((torch.randn(2, 1, 8, 8), torch.ones(2, 1, 8, 8).long()))
    passes((torch.randn(2, 3, 8, 8), torch.ones(2, 3).long()))


def test_the_error_of_a_mapping_names_the_key():
    assert refused({"input_ids": IDS, "mask": MASK}) == (
        "loader: key 'mask' looks like the mask of the real tokens, but rows read "
        "'attention_mask', which the batch lacks. Use rows=hooksim.Rows(mask='mask') if its ones "
        "are the real tokens, with mask_is_padding=True if they are the padding; if it is no such "
        "mask, add 'attention_mask'."
    )
    assert "key 'mask'" in refused(BatchEncoding({"mask": MASK.bool(), "x": torch.randn(2, 3, 4)}))
    assert "key 'attention_mask'" in refused(
        {"input_ids": IDS, "attention_mask": MASK}, keys={"mask"}
    )
    assert "rows read 'attention_mask'" in refused(
        {"input_ids": IDS, "mask": MASK}, keys={"mask", "attention_mask"}
    )


@pytest.mark.parametrize(
    "key",
    [
        "token_type_ids",
        "special_tokens_mask",
        "labels",
        "label_ids",
        "target",
        "y",
        "position_ids",
        "global_attention_mask",
        "decoder_attention_mask",
    ],
)
def test_known_keys_are_no_masks(key):
    passes({"input_ids": IDS, key: MASK})


def test_what_is_no_mask_of_a_mapping():
    passes({"input_ids": IDS, "attention_mask": MASK, "other": MASK})
    passes({"input_ids": IDS, "mask": MASK}, keys={"mask"})
    passes({"input_ids": IDS, "flags": torch.zeros(2, 3).long()})
    passes({"input_ids": IDS, "flags": torch.ones(2, 3).long()})  # nothing is lost
    passes({"pixel_values": torch.randn(2, 3, 8, 8), "flags": MASK})
    passes({"flags": MASK})


class Masked(nn.Module):
    """A model with a mask of its own name."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(60, 4)

    def forward(self, tokens, mask=None):
        return self.embed(tokens)


def test_the_proposed_mask_is_read():
    batch = {"tokens": IDS, "mask": MASK}
    with pytest.raises(ConfigError, match=r"Rows\(mask='mask'\)"):
        values_of(Masked(), batch, "embed")
    with ModelReader(Masked(), [View("A", "embed", Rows("mean", mask="mask"))]) as reader:
        [part] = reader.read(batch, None, START)
        expected = reader.model.embed(IDS)[1, 0]
    torch.testing.assert_close(part.values[0][1], expected.detach())


def test_own_forward_does_not_lose_the_mask():
    batch = text_batch([3, 5])
    usual = values_of(tiny("Bert"), batch)
    pair = (batch["input_ids"], batch["attention_mask"])
    with pytest.raises(ConfigError, match="whose values reach forward as they are"):
        values_of(
            tiny("Bert"),
            pair,
            forward=lambda model, batch: model(batch[0], attention_mask=batch[1]),
        )
    labelled = (batch, torch.zeros(2))
    own = values_of(tiny("Bert"), labelled, forward=lambda model, batch: model(**batch[0]))
    assert all(torch.equal(own[name], usual[name]) for name in usual)


def test_capture_of_rows_does_not_lose_the_mask():
    model = Masked()
    with capture_activations(model, "embed", "mean"):
        with pytest.raises(ConfigError, match=r"Rows\(mask='mask'\)"):
            model(IDS, MASK)
        model(IDS)
    with capture_activations(model, "embed", Rows("mean", mask="mask")) as activations:
        model(IDS, MASK)
    torch.testing.assert_close(activations["embed"][1], model.embed(IDS)[1, 0].detach())

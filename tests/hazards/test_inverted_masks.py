"""Masks whose ones are the padding, and those that attention takes: read right, or refused."""

import pytest
import torch
from torch import nn

import hooksim
from hooksim.errors import ConfigError, ShapeError
from tests.hazards.measured import assert_measured, by_hand
from tests.hazards.test_masks_of_halves import joined, pooled

LENGTHS = [[5, 3, 7, 2, 6, 4], [1, 4, 4, 7, 5]]


def masked(key: str, form) -> list[dict[str, torch.Tensor]]:
    """Batches of vectors, with a mask made of the real tokens `(B, T)`."""
    generator = torch.Generator().manual_seed(0)
    batches = []
    for lengths in LENGTHS:
        keep = torch.arange(7) < torch.tensor(lengths)[:, None]
        src = torch.randn(len(lengths), 7, 8, generator=generator)
        batches.append({"src": src, key: form(keep), "keep": keep})
    return batches


def without(batches, key="keep"):
    return [{name: value for name, value in batch.items() if name != key} for batch in batches]


def encoder() -> nn.Module:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()


def added(keep):
    return torch.zeros(keep.shape).masked_fill(~keep, -torch.inf)


@pytest.mark.parametrize("form", [lambda keep: ~keep, added])
@pytest.mark.parametrize("policy", ["mean", "last"])
def test_torchs_key_padding_mask_is_read_as_torch_reads_it(form, policy):
    batches = masked("src_key_padding_mask", form)
    model, layers = encoder(), ["layers.0.linear1", "layers.1"]
    tokens = by_hand(model, without(batches), layers)
    keep = joined(batches, "keep")
    if policy == "mean":
        expected = {layer: pooled(tokens[layer], keep) for layer in layers}
    else:
        last = keep.sum(dim=1) - 1
        expected = {layer: tokens[layer][torch.arange(len(last)), last] for layer in layers}
    assert_measured(model, expected, without(batches), policy, tolerance=1e-5)


def test_both_halves_of_torchs_transformer():
    torch.manual_seed(0)
    model = nn.Transformer(8, 2, 1, 1, 16, batch_first=True).eval()
    model.encoder.use_nested_tensor = False
    sources = masked("src_key_padding_mask", torch.logical_not)
    targets = masked("tgt_key_padding_mask", lambda keep: ~keep.flip(0))
    batches = [
        {
            **{key: one[key] for key in ("src", "src_key_padding_mask")},
            "memory_key_padding_mask": one["src_key_padding_mask"],
            "tgt": two["src"] + 1,
            "tgt_key_padding_mask": two["tgt_key_padding_mask"],
        }
        for one, two in zip(sources, targets, strict=True)
    ]
    layers = ["encoder.layers.0.norm2", "decoder.layers.0.norm3"]
    tokens = by_hand(model, batches, layers)
    keys = ["src_key_padding_mask", "tgt_key_padding_mask"]
    expected = {
        layer: pooled(tokens[layer], ~joined(batches, key))
        for layer, key in zip(layers, keys, strict=True)
    }
    assert_measured(model, expected, batches, tolerance=1e-5)


class Masked(nn.Module):
    """A model that takes a mask under a name of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(8, 8)

    def forward(self, src, **masks):
        return self.inner(src)


FORMS = {
    "(B, T) bool": lambda keep: keep,
    "(B, T) float": lambda keep: keep.float(),
    "(B, T) added": added,
    "(B, 1, T)": lambda keep: keep[:, None].long(),
    "(B, 1, 1, T)": lambda keep: keep[:, None, None],
    "(B, 1, 1, T) added": lambda keep: (keep[:, None, None].float() - 1) * 1e9,
    "(B, T, T)": lambda keep: keep[:, None].expand(-1, 7, 7).float(),
    "(B, 1, T, T) causal": lambda keep: keep[:, None, None] & torch.ones(7, 7).tril().bool(),
    "(B, 1, T, T) causal and added": lambda keep: torch.zeros(7, 7).masked_fill(
        ~(keep[:, None, None] & torch.ones(7, 7).tril().bool()), torch.finfo(torch.float32).min
    ),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_a_mask_that_attention_takes_is_read(form):
    batches, model = masked("attention_mask", form), Masked()
    tokens = by_hand(model, without(batches), ["inner"])["inner"]
    expected = {"inner": pooled(tokens, joined(batches, "keep"))}
    assert_measured(model, expected, without(batches), tolerance=1e-5)


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_under_another_name_it_would_be_lost_and_is_refused(form):
    batches, model = without(masked("mask", form)), Masked()
    with pytest.raises(ConfigError) as error:
        hooksim.compare(model, model, batches, layers_a="inner", progress=False)
    assert str(error.value) == (
        "loader: key 'mask' looks like the mask of the real tokens, but rows read "
        "'attention_mask', which the batch lacks. Use rows=hooksim.Rows(mask='mask') if its ones "
        "are the real tokens, with mask_is_padding=True if they are the padding; if it is no such "
        "mask, add 'attention_mask'."
    )
    rows = hooksim.Rows(mask="mask")
    batches = masked("mask", form)
    tokens = by_hand(model, without(batches), ["inner"])["inner"]
    expected = {"inner": pooled(tokens, joined(batches, "keep"))}
    assert_measured(model, expected, without(batches), rows, tolerance=1e-5)


def test_the_advice_for_an_inverted_mask_is_right():
    batches, model = masked("mask", torch.logical_not), Masked()
    with pytest.raises(ConfigError, match="mask_is_padding=True if they are the padding"):
        hooksim.record(model, without(batches), "inner", progress=False)
    rows = hooksim.Rows(mask="mask", mask_is_padding=True)
    expected = by_hand(model, without(batches), ["inner"])["inner"]
    expected = {"inner": pooled(expected, joined(batches, "keep"))}
    assert_measured(model, expected, without(batches), rows, tolerance=1e-5)
    with pytest.raises(ShapeError, match=r"has no real token.*say Rows\(mask_is_padding=True\)"):
        hooksim.record(model, without(batches), "inner", hooksim.Rows(mask="mask"), progress=False)


def test_what_a_padding_mask_marks_has_to_be_said():
    batches, model = masked("padding_mask", torch.logical_not), Masked()
    with pytest.raises(ConfigError) as error:
        hooksim.record(
            model, without(batches), "inner", hooksim.Rows(mask="padding_mask"), progress=False
        )
    assert str(error.value) == (
        "rows: the ones of mask 'padding_mask' may be the padding or the real tokens. Use "
        "Rows(mask='padding_mask', mask_is_padding=True) if they are the padding, with False if "
        "they are the real tokens."
    )
    tokens = by_hand(model, without(batches), ["inner"])["inner"]
    for marks_padding in (True, False):
        keep = joined(batches, "keep")
        given = [{**each, "padding_mask": each["keep"] ^ marks_padding} for each in batches]
        rows = hooksim.Rows(mask="padding_mask", mask_is_padding=marks_padding)
        expected = {"inner": pooled(tokens, keep)}
        assert_measured(model, expected, without(given), rows, tolerance=1e-5)


class Heads(nn.Module):
    """Splits its tokens into heads, and maps attention between them."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.map, self.back = nn.Identity(), nn.Identity(), nn.Identity()

    def forward(self, src, attention_mask):
        split = self.heads(src.unflatten(2, (2, 4)))
        self.map(torch.einsum("bihd,bjhd->bhij", split, split))
        return self.back(split.flatten(2))


def test_heads_and_maps_of_padded_tokens_give_no_rows():
    batches, model = without(masked("attention_mask", lambda keep: keep.long())), Heads()
    recording = hooksim.record(model, batches, "*", progress=False)
    assert list(recording) == ["back"]
    for layer, shape in (("heads", r"\(6, 7, 2, 4\)"), ("map", r"\(6, 2, 7, 7\)")):
        message = rf"its output {shape} holds 7 tokens of which the mask marks some as padding"
        with pytest.raises(hooksim.HooksimError, match=message):
            hooksim.record(model, batches, layer, progress=False)
    full = [{**batch, "attention_mask": torch.ones(len(batch["src"]), 7)} for batch in batches]
    whole = hooksim.record(model, full, "*", progress=False)
    torch.testing.assert_close(whole["heads"], joined(batches, "src").flatten(1))

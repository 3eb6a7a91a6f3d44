"""What a block keeps of a layer: the same bits in every layout, centred rows on demand."""

import pytest
import torch

from hooksim.blocks.grams import LayerGram, layer_gram
from hooksim.capture.rows import Rows, take_rows
from hooksim.functional.gram import centre
from tests import datasets


def strided_rows() -> dict[str, torch.Tensor]:
    """Rows of the same shape in every layout that an activation can give them."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator) + 3

    return {
        "first token": draw(700, 5, 300)[:, 0],
        "last token, batch second": draw(5, 700, 300).movedim(1, 0)[:, -1],
        "columns first": draw(300, 700).T,
        "columns of a wider one": draw(700, 400)[:, 50:350],
        "every second row and column": draw(1400, 600)[::2, ::2],
        "one row for all": draw(1, 300).expand(700, 300),
        "one column for all": draw(700, 1).expand(700, 300),
    }


def same_bits(left: LayerGram, right: LayerGram) -> bool:
    pairs = [*zip(left, right, strict=True), *zip(left.spread, right.spread, strict=True)]
    return all(torch.equal(a, b) for a, b in pairs if isinstance(a, torch.Tensor))


@pytest.mark.parametrize("name", strided_rows())
@pytest.mark.parametrize("with_kernel", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sequences", [False, True])
def test_the_layout_of_rows_changes_no_bit(name, with_kernel, dtype, sequences):
    rows = strided_rows()[name]
    groups = torch.arange(700) // 7 if sequences else None
    given, copied = (
        layer_gram(each, groups, dtype=dtype, with_kernel=with_kernel, with_rows=True)
        for each in (rows, rows.clone(memory_format=torch.contiguous_format))
    )
    assert same_bits(given, copied)
    assert torch.equal(given.centred(3, 650), copied.centred(3, 650))


@pytest.mark.parametrize("batch_dim", [0, 1])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize(
    ("policy", "shape"),
    [
        ("auto", (60, 40)),
        ("auto", (60, 7, 40)),
        ("cls", (60, 7, 40)),
        ("last", (60, 7, 40)),
        ("token", (60, 7, 40)),
        ("flatten", (60, 7, 40)),
        ("auto", (60, 6, 4, 5)),
        ("mean", (60, 40, 4, 5)),
    ],
)
def test_recorded_rows_change_no_bit(policy, shape, batch_dim, normalize, dtype):
    """A recording keeps contiguous rows; a live model may give a view of its activation."""
    activation = torch.randn(shape).movedim(0, batch_dim).contiguous().to(dtype)
    if len(shape) == 4:
        activation = activation.to(memory_format=torch.channels_last)
    rows = Rows(policy, normalize=normalize, batch_dim=batch_dim, channel_dim=1 - batch_dim)
    for own in (True, False):
        live = take_rows(activation, rows, size=60, own=own).values
        recorded = live.numpy().tobytes()
        read = torch.frombuffer(bytearray(recorded), dtype=live.dtype).view(live.shape)
        assert same_bits(
            layer_gram(live, dtype=torch.float64), layer_gram(read, dtype=torch.float64)
        )


@pytest.mark.parametrize("name", datasets.CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_kept_are_what_a_gram_matrix_knows(name, dtype):
    for rows in datasets.CASES[name]():
        kept = layer_gram(rows, dtype=dtype, with_kernel=False)
        made = layer_gram(rows, dtype=dtype)
        tolerance = 1e-6 if dtype == torch.float32 else 1e-12
        centred = kept.centred(0, len(rows))
        assert kept.kernel is None and kept.norms.dtype == centred.dtype == dtype
        torch.testing.assert_close(centred, centre(rows, dtype).rows, rtol=0, atol=tolerance * 10)
        torch.testing.assert_close(kept.norms, made.norms, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(kept.scale, made.scale, rtol=1e-12, atol=0)
        torch.testing.assert_close(kept.mean, made.mean, rtol=1e-14, atol=1e-14)
        torch.testing.assert_close(kept.spread.within, made.spread.within, rtol=1e-12, atol=0)


def test_rows_are_not_copied():
    rows = torch.randn(30, 4)
    for gram in (
        layer_gram(rows, dtype=torch.float64, with_kernel=False),
        layer_gram(rows, dtype=torch.float64, with_rows=True),
    ):
        assert gram.rows.data_ptr() == rows.data_ptr()
    assert layer_gram(rows, dtype=torch.float64).rows is None


def test_centred_rows_of_none_are_refused():
    gram = layer_gram(torch.randn(9, 4), dtype=torch.float64)
    with pytest.raises(ValueError, match=r"this layer's Gram matrix was made, its rows not kept"):
        gram.centred(0, 9)


def test_constant_rows_are_centred_to_zero():
    gram = layer_gram(torch.full((30, 4), 0.1), dtype=torch.float64, with_kernel=False)
    assert (gram.centred(0, 30) == 0).all() and (gram.norms == 0).all() and gram.factor == 0


@pytest.mark.parametrize("sequences", [None, 41, 1000])
@pytest.mark.parametrize("elements", [1 << 22, 41 * 7])
def test_the_spread_of_sequences_needs_no_centred_copy(sequences, elements, monkeypatch):
    monkeypatch.setattr("hooksim.blocks.grams._SEQUENCE_ELEMENTS", elements)
    lengths = torch.randint(1, 60, (41,))
    groups = torch.arange(41).repeat_interleave(lengths)
    rows = torch.randn(len(groups), 30) + torch.randn(41, 30)[groups] + 100
    made = layer_gram(rows, groups, dtype=torch.float64).spread
    kept = layer_gram(
        rows, groups, dtype=torch.float64, with_kernel=False, sequences=sequences
    ).spread
    means = torch.stack([rows[groups == index].double().mean(0) for index in range(41)])
    for found in (made, kept):
        assert found.samples == 41
        torch.testing.assert_close(found.mean, means.mean(0))
        torch.testing.assert_close(found.within, (means - means.mean(0)).square().sum())


def test_constant_sequences_have_no_spread():
    groups = torch.arange(60) // 4
    kept = layer_gram(
        torch.full((60, 3), 0.1), groups, dtype=torch.float64, with_kernel=False
    ).spread
    assert kept.within == 0 and kept.samples == 15

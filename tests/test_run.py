"""A run from outside: what it reads, and which batches it joins."""

import pytest
import torch
from torch import nn

import hooksim


def stack(depth: int) -> nn.Sequential:
    torch.manual_seed(depth)
    return nn.Sequential(*(nn.Linear(6, 6) for _ in range(depth)))


def batches(*sizes: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(size, 6, generator=generator) for size in sizes]


class Named(nn.Module):
    """Says when it is called; by a hook it would wait for its turn, and no forward ends early."""

    def __init__(self, inner: nn.Module, name: str, counted: list[str]) -> None:
        super().__init__()
        self.inner, self.name, self.counted = inner, name, counted

    def forward(self, x):
        self.counted.append(self.name)
        return self.inner(x)


def test_same_name_reads_only_the_common_layers_after_the_first_batch():
    counted = []
    a, b = stack(3), nn.Sequential(*(Named(one, str(i), counted) for i, one in enumerate(stack(5))))
    options = {"layers_a": ["2", "0"], "layers_b": "*", "progress": False}
    result = hooksim.compare(a, b, batches(40, 40, 40), pairs="same_name", **options)
    assert counted == [*"01234", *"012", *"012"]
    assert result["cka"].layers_a == result["cka"].layers_b == ["2", "0"]
    whole = hooksim.compare(a, b, batches(40, 40, 40), **options)["cka"]
    columns = [whole.layers_b.index(name) for name in ("2", "0")]
    torch.testing.assert_close(
        result["cka"].values.diagonal(), whole.values[:, columns].diagonal(), rtol=1e-6, atol=1e-8
    )


@pytest.mark.parametrize(("last", "blocks"), [(3, [6, 9]), (4, [6, 6, 4])])
def test_a_last_batch_of_fewer_than_four_rows_is_joined_whatever_the_measure(last, blocks):
    result = hooksim.compare(
        stack(2),
        stack(2),
        batches(6, 6, last),
        measures="information_imbalance",
        block_size="batch",
        progress=False,
    )
    assert result.metadata["blocks"] == blocks


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers_a": [0]}, "layers: expected a string such as"),
        ({"device": "foo"}, "device: expected a name such as 'cpu'"),
    ],
)
def test_bad_arguments_are_one_line(options, message):
    with pytest.raises(hooksim.HooksimError) as error:
        hooksim.compare(stack(2), stack(2), batches(8), progress=False, **options)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_token_rows_of_other_sequences_are_refused():
    class Embedding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(20, 6)

        def forward(self, input_ids, attention_mask):
            return self.embed(input_ids)

    def half(*lengths: int) -> dict[str, torch.Tensor]:
        mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
        return {"input_ids": torch.ones_like(mask) + mask, "attention_mask": mask}

    loader = [hooksim.PairedBatch(half(3, 5), half(5, 3))]
    with pytest.raises(
        hooksim.ShapeError, match="sample 0 has 3 tokens for model A, 5 for model B"
    ):
        hooksim.compare(Embedding(), Embedding(), loader, rows="token", progress=False)

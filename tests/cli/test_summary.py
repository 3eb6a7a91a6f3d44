"""What the command says of a result."""

import torch

from hooksim.cli.summary import summary
from hooksim.results import Comparison, Meaning, SimilarityMatrix

CKA = Meaning("CKA (linear, debiased)", best="max")
IMBALANCE = Meaning("Information Imbalance (k = 1)", best="min", direction="A to B")


def result(values, meaning=CKA, names=("encoder.layer.0", "encoder.layer.1"), **metadata):
    values = torch.tensor(values)
    layers = list(names)[: len(values)]
    matrix = SimilarityMatrix("key", values, values, layers, layers, meaning)
    return Comparison({"key": matrix}, 90, metadata)


def test_closest_pair_and_equal_names():
    warned = {"warnings": [{"code": "order", "text": "the samples are sorted."}]}
    assert summary(result([[0.9, 0.2], [0.3, 0.8]], **warned), width=60).splitlines() == [
        "key: 2 x 2 (A x B), n = 90, 0.200 to 0.900, CKA (linear,",
        "  debiased)",
        "  closest: 'encoder.layer.0' of A and 'encoder.layer.0' of",
        "  B, 0.900",
        "  2 equally named layers: 0.800 to 0.900",
    ]


def test_the_smallest_imbalance_is_the_closest():
    lines = summary(result([[0.9, 0.2], [0.3, 0.8]], IMBALANCE), width=200).splitlines()
    assert lines[1] == "  closest: 'encoder.layer.0' of A and 'encoder.layer.1' of B, 0.200"


def test_one_pair_is_said_once():
    assert summary(result([[0.548]]), width=80) == (
        "key: 1 x 1 (A x B), n = 90, 0.548, CKA (linear, debiased)"
    )


def test_nothing_defined():
    nan = float("nan")
    assert "closest" not in summary(result([[nan, nan], [nan, nan]]), width=80)

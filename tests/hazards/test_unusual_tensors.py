"""Layers whose output is a tensor, but not a dense, real, contiguous one of its own memory."""

import warnings

import pytest
import torch
from torch import Tensor, nn

import hooksim
from hooksim.errors import NonFiniteError
from tests.hazards.measured import BATCHES, Odd, assert_measured, assert_refused, by_hand


class Labelled(Tensor):
    """A subclass, as torchvision's images are."""


def sparse_rows(hidden):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls its CSR layout a beta
        return hidden.relu().to_sparse_csr()


MAKES = {
    "sparse": (lambda hidden: hidden.relu().to_sparse(), torch.relu),
    "sparse rows": (sparse_rows, torch.relu),
    "mkldnn": (lambda hidden: hidden.to_mkldnn(), lambda hidden: hidden),
    "expanded": (lambda hidden: hidden[:, :1].expand(-1, 6), lambda h: h[:, :1].expand(-1, 6)),
    "strided": (lambda hidden: hidden.T.contiguous().T[:, ::2], lambda h: h[:, ::2]),
    "negative view": (lambda hidden: torch._neg_view(hidden), lambda h: -h),
    "part of a conjugate": (lambda hidden: torch.fft.fft(hidden).conj().imag, None),
    "subclass": (lambda hidden: hidden.as_subclass(Labelled), lambda hidden: hidden),
    "parameter": (lambda hidden: nn.Parameter(hidden), lambda hidden: hidden),
    "one number a sample": (lambda hidden: hidden.mean(dim=1), lambda h: h.mean(dim=1)[:, None]),
    "float8": (lambda hidden: hidden.to(torch.float8_e4m3fn), None),
    "float16": (lambda hidden: hidden.half(), None),
    "bfloat16": (lambda hidden: hidden.bfloat16(), None),
    "float64": (lambda hidden: hidden.double().sin(), lambda h: h.double().sin()),
}


@pytest.mark.parametrize("kind", MAKES)
def test_the_numbers_that_it_stands_for(kind):
    make, right = MAKES[kind]
    right = right or (lambda hidden: make(hidden).float())
    model = Odd(make)
    hidden = by_hand(model, BATCHES, ["first"])["first"]
    assert_measured(model, {"odd": right(hidden)})


TYPE = "its output is of type torch.{}, not floating point. Select another layer."
NESTED = (
    "its output is a nested tensor, of sequences that differ in length. Let the model pad them, "
    "or select another layer."
)


def nested(hidden, layout):
    return torch.nested.as_nested_tensor([each[:, None] for each in hidden], layout=layout)


REFUSED = {
    "complex": (torch.fft.fft, TYPE.format("complex64")),
    "integer": (lambda hidden: hidden.argmax(dim=1), TYPE.format("int64")),
    "bool": (lambda hidden: hidden > 0, TYPE.format("bool")),
    "nested": (lambda hidden: nested(hidden, torch.strided), NESTED),
    "jagged": (lambda hidden: nested(hidden, torch.jagged), NESTED),
    "no dimension": (
        lambda hidden: hidden.mean(),
        "its output () has no batch of 20 samples in dimension 0. Select the layer around it, or "
        "another.",
    ),
    "no numbers": (
        lambda hidden: hidden[:, :0],
        "its output (20, 0) holds no numbers. Select another layer.",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_no_rows(kind):
    make, reason = REFUSED[kind]
    assert_refused(Odd(make), "odd", reason, rows="flatten")


@pytest.mark.parametrize("kind", ["complex", "integer", "bool"])
def test_capture_without_rows_keeps_any_tensor(kind):
    make, _ = REFUSED[kind]
    model = Odd(make)
    with hooksim.capture_activations(model, ["first", "odd"]) as found:
        model(BATCHES[0])
    assert torch.equal(found["odd"], make(found["first"]))


def test_nan_is_refused_with_its_place():
    model = Odd(lambda hidden: hidden.where(hidden > hidden.min(), torch.nan))
    with pytest.raises(NonFiniteError) as error:
        hooksim.compare(model, model, BATCHES, layers_a="odd", progress=False)
    row = int(by_hand(model, BATCHES[:1], ["first"])["first"].min(dim=1).values.argmin())
    assert str(error.value).startswith(
        f"layer 'odd' of model A (Odd): 3 of 60 rows hold NaN or infinity, the first of them row "
        f"{row} of batch 0"
    )
    with pytest.raises(NonFiniteError, match=r"layer 'odd' of model \(Odd\), batch 0 .* 1 of 20"):
        hooksim.record(model, BATCHES, "odd", progress=False)
    with hooksim.capture_activations(model, "odd") as found:
        model(BATCHES[0])
    assert int(found["odd"].isnan().sum()) == 1


def test_infinity_is_refused():
    model = Odd(lambda hidden: hidden / 0)
    with pytest.raises(NonFiniteError, match=r"layer 'odd' of model A \(Odd\): 60 of 60 rows"):
        hooksim.compare(model, model, BATCHES, layers_a="odd", progress=False)

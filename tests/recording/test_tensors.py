"""Features that somebody else computed: what is accepted, exactly, and what is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tensordict import TensorDict

from hooksim.errors import (
    AlignmentError,
    ConfigError,
    NonFiniteError,
    NotEnoughSamplesError,
    ShapeError,
)
from hooksim.recording import Recording

X = torch.arange(12.0).reshape(4, 3)


def dtype_of(value):
    return Recording.from_tensors({"x": value})["x"].dtype


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (X, torch.float32),
        (X.double(), torch.float64),
        (X.half(), torch.float32),
        (X.bfloat16(), torch.float32),
        (X.to(torch.float8_e4m3fn), torch.float32),
        (X > 3, torch.float32),
        (X.to(torch.uint8), torch.float32),
        (X.to(torch.int16) - 9, torch.float32),
        (X.to(torch.uint16), torch.float32),
        (X.int() + 2**24 - 11, torch.float32),
        (X.int() - 2**24, torch.float32),
        (X.int() + 2**24, torch.float64),
        (X.long() + 2**53 - 11, torch.float64),
        (X.to(torch.uint64), torch.float32),
        (X.numpy(), torch.float32),
        (X.numpy().astype(">f8"), torch.float64),
        (X.numpy().astype("f2"), torch.float32),
        (X.numpy().astype("u4"), torch.float32),
        (X.numpy() > 3, torch.float32),
    ],
)
def test_numbers_are_kept_exactly(value, expected):
    recording = Recording.from_tensors({"x": value})
    assert recording["x"].dtype == expected
    native = value.astype(value.dtype.newbyteorder("=")) if isinstance(value, np.ndarray) else value
    wide = torch.as_tensor(native).to(torch.float64)
    assert torch.equal(recording["x"].double(), wide)


def test_memory_is_shared_where_the_type_stays_and_views_are_made_contiguous():
    array = X.numpy()
    recording = Recording.from_tensors({"a": X, "b": array, "d": X[:, :2]})
    assert recording["a"].data_ptr() == X.data_ptr() == recording["b"].data_ptr()
    assert recording["d"].is_contiguous() and torch.equal(recording["d"], X[:, :2])
    assert not recording["a"].requires_grad


def test_the_very_same_tensor_is_stored_once():
    given_ = {"a": X, "b": X.clone(), "c": X, "d": X.view(4, 3), "e": X.numpy(), "f": X[:, :2]}
    recording = Recording.from_tensors(given_)
    assert recording.positions == [0, 1, 0, 0, 0, 2]
    assert recording.nbytes == X.nbytes * 2 + 32


def test_parameters_arrays_that_cannot_be_written_to_and_tensordicts(tmp_path):
    np.save(tmp_path / "x.npy", X.numpy())
    on_disk = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert torch.equal(Recording.from_tensors({"x": on_disk})["x"], X)
    parameter = torch.nn.Parameter(X)
    assert not Recording.from_tensors({"x": parameter})["x"].requires_grad
    features = TensorDict({"layer.0": X}, batch_size=[4])
    assert Recording.from_tensors(features).layers == ["layer.0"]


@pytest.mark.parametrize(
    "ids",
    [
        ["0", "1", "2", "3"],
        range(4),
        np.arange(4),
        torch.arange(4),
        list(torch.arange(4)),
        list(np.arange(4)),
        (0, 1, 2, 3),
    ],
)
def test_ids_of_any_kind(ids):
    assert Recording.from_tensors({"x": X}, sample_ids=ids).sample_ids == ["0", "1", "2", "3"]


def test_repeated_ids_are_noted():
    [note] = Recording.from_tensors({"x": X}, sample_ids=["a", "b", "a", "c"]).notes
    assert note == (
        "repeated_sample_ids",
        "sample ids occur more than once ('a' 2 times), so equal ids do not show that samples are "
        "in the same order",
    )


@pytest.mark.parametrize(
    ("tensors", "kind", "message"),
    [
        ([X], ConfigError, "tensors: expected a mapping of names, got list."),
        ({}, ConfigError, "tensors: the mapping is empty. Give at least one layer."),
        ({3: X}, ConfigError, "tensors: expected names of layers, got int 3."),
        (
            {"x": [[1.0]]},
            ConfigError,
            "layer 'x': expected a tensor or a numpy array, got list.",
        ),
        (
            {"x": np.ma.array(X.numpy(), mask=X.numpy() > 3)},
            ConfigError,
            "layer 'x': a masked array would lose its mask. Leave masked samples out, in all "
            "layers of both sides, or use .filled(value).",
        ),
        (
            {"x": X.to_sparse()},
            ConfigError,
            "layer 'x': expected a plain tensor with memory, got one of the kind sparse_coo. "
            "Use .to_dense() or .dequantize() first.",
        ),
        (
            {"x": X.to("meta")},
            ConfigError,
            "layer 'x': expected a plain tensor with memory, got one of the kind meta. "
            "Use .to_dense() or .dequantize() first.",
        ),
        (
            {"x": X + 1j},
            ConfigError,
            "layer 'x': complex numbers cannot be compared. Use torch.view_as_real(x).flatten(1), "
            "or .abs().",
        ),
        (
            {"x": X.long() + 2**53},
            ConfigError,
            "layer 'x': integers beyond 2**53 have no exact floating-point value. Scale them.",
        ),
        (
            {"x": X.numpy()[:, 0]},
            ShapeError,
            "layer 'x': expected shape (n, d), got (4,). Use .reshape(-1, 1) for one number a "
            "sample.",
        ),
        (
            {"x": X[None]},
            ShapeError,
            "layer 'x': expected shape (n, d), got (1, 4, 3). Give one row a sample: take a mean "
            "over tokens or positions, or .flatten(1).",
        ),
        (
            {"x": X[:, :0]},
            ShapeError,
            "layer 'x': expected shape (n, d), got (4, 0). Give one row a sample: take a mean over "
            "tokens or positions, or .flatten(1).",
        ),
        (
            {"x": X, "y": X[:3]},
            ShapeError,
            "layer 'y': 3 rows, 4 in layer 'x'. All layers must hold the same samples in the same "
            "order.",
        ),
        (
            {"y": X, "x": X.index_fill(0, torch.tensor([2, 3]), torch.nan)},
            NonFiniteError,
            "layer 'x': row 2 holds NaN or infinity. Leave such samples out, in all layers of both "
            "sides.",
        ),
        ({"x": X[:0]}, NotEnoughSamplesError, "layer 'x': it has no rows. Give some samples."),
    ],
)
def test_what_is_refused(tensors, kind, message):
    with pytest.raises(kind) as error:
        Recording.from_tensors(tensors)
    assert str(error.value) == message


@pytest.mark.parametrize("array", [np.array([["a"]]), np.array([[None]]), X.numpy()[::-1]])
def test_arrays_that_torch_does_not_have(array):
    with pytest.raises(ConfigError, match=r"layer 'x': an array of .* cannot be used: .* Give flo"):
        Recording.from_tensors({"x": array})


@pytest.mark.parametrize(
    ("ids", "kind", "message"),
    [
        ("abcd", ConfigError, "sample_ids: expected a list with one id a sample, got str."),
        (4, ConfigError, "sample_ids: expected a list with one id a sample, got int."),
        (
            ["a"],
            AlignmentError,
            "sample_ids: 1 ids for 4 samples. Give one id for each sample.",
        ),
    ],
)
def test_ids_that_are_refused(ids, kind, message):
    with pytest.raises(kind) as error:
        Recording.from_tensors({"x": X}, sample_ids=ids)
    assert str(error.value) == message


@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 5)),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.float16, torch.int64]),
    transposed=st.booleans(),
)
def test_saved_and_loaded_values_are_the_same(tmp_path_factory, shape, dtype, transposed):
    values = (100 * torch.randn(shape)).to(dtype)
    values = values.T.contiguous().T if transposed else values
    recording = Recording.from_tensors({"x": values})
    again = Recording.load(recording.save(tmp_path_factory.mktemp("r")))
    assert again["x"].dtype == recording["x"].dtype and torch.equal(again["x"], recording["x"])
    assert torch.equal(again["x"].double(), values.double())


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_nested_tensors_are_refused(layout):
    with pytest.raises(ConfigError) as error:
        Recording.from_tensors({"x": torch.nested.nested_tensor([X, X[:2]], layout=layout)})
    assert str(error.value) == (
        "layer 'x': expected a plain tensor with memory, got a nested one. Give one row a sample: "
        "take a mean over tokens or positions."
    )

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hooksim.capture.masks import TokenMask
from hooksim.capture.policies import POLICIES
from hooksim.capture.rows import Rows, as_rows, take_rows
from hooksim.errors import ConfigError, NoRowsError, ShapeError

KEEP = torch.tensor([[1, 1, 1, 0, 0], [0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])


def rows_of(activation: Tensor, policy: str, keep: Tensor | None = None, **options) -> Tensor:
    mask_of = None if keep is None else lambda length: TokenMask.read(keep, "attention_mask")
    size = activation.shape[options.get("batch_dim", 0)]
    return take_rows(activation, Rows(policy, **options), size=size, mask_of=mask_of).values


@pytest.mark.parametrize("policy", ["auto", "flatten", "mean", "cls", "last"])
def test_two_dimensions_are_rows_as_they_are(policy):
    activation = torch.randn(3, 4)
    torch.testing.assert_close(rows_of(activation, policy), activation, rtol=0, atol=0)


@pytest.mark.parametrize("policy", ["auto", "mean"])
def test_mean_leaves_padding_out(policy):
    activation = torch.randn(3, 5, 2)
    expected = torch.stack(
        [activation[0, :3].mean(0), activation[1, 2:].mean(0), activation[2].mean(0)]
    )
    activation[KEEP == 0] = float("nan")
    torch.testing.assert_close(rows_of(activation, policy, KEEP), expected)


@pytest.mark.parametrize(("policy", "places"), [("cls", [0, 2, 0]), ("last", [2, 4, 4])])
def test_first_and_last_real_token_on_either_padding_side(policy, places):
    activation = torch.randn(3, 5, 2)
    expected = activation[torch.arange(3), places].clone()
    activation[KEEP == 0] = float("nan")
    torch.testing.assert_close(rows_of(activation, policy, KEEP), expected, rtol=0, atol=0)


def test_token_rows_drop_padding_and_carry_groups():
    activation = torch.randn(3, 5, 2)
    taken = take_rows(
        activation, Rows("token"), size=3, mask_of=lambda length: TokenMask.read(KEEP, "mask")
    )
    torch.testing.assert_close(taken.values, activation[KEEP.bool()], rtol=0, atol=0)
    assert taken.groups is not None
    assert taken.groups.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2]
    assert taken.groups.dtype == torch.int64


def test_token_rows_without_mask_keep_every_token():
    taken = take_rows(torch.randn(2, 3, 4), Rows("token"), size=2)
    assert taken.values.shape == (6, 4)
    assert taken.groups is not None
    assert taken.groups.tolist() == [0, 0, 0, 1, 1, 1]


def test_a_mask_of_ones_is_the_same_as_none():
    activation = torch.randn(3, 5, 2)
    for policy in ("auto", "flatten", "cls", "last", "token"):
        masked = rows_of(activation, policy, torch.ones(3, 5))
        torch.testing.assert_close(masked, rows_of(activation, policy), rtol=0, atol=0)


def test_flatten_refuses_padding():
    with pytest.raises(ShapeError, match="policy 'flatten' needs sequences of equal length"):
        rows_of(torch.randn(3, 5, 2), "flatten", KEEP)
    assert rows_of(torch.randn(3, 5, 2), "flatten").shape == (3, 10)


def test_four_dimensions():
    image = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(rows_of(image, "auto"), image.reshape(2, 60))
    torch.testing.assert_close(rows_of(image, "mean"), image.mean(dim=(2, 3)))
    torch.testing.assert_close(rows_of(image, "mean", channel_dim=-1), image.mean(dim=(1, 2)))
    channels_last = image.to(memory_format=torch.channels_last)
    torch.testing.assert_close(rows_of(channels_last, "flatten"), image.reshape(2, 60))


def test_three_dimensions_with_channels_in_front():
    sound = torch.randn(2, 3, 7)  # (B, C, L)
    for dim in (1, -2):
        pooled = rows_of(sound, "mean", channel_dim=dim)
        torch.testing.assert_close(pooled, sound.mean(dim=2))
    torch.testing.assert_close(rows_of(sound, "mean", channel_dim=2), sound.mean(dim=1))
    torch.testing.assert_close(rows_of(sound, "mean"), sound.mean(dim=1))
    assert rows_of(sound, "token", channel_dim=1).shape == (14, 3)
    keep = torch.tensor([[1] * 7, [1] * 3 + [0] * 4])
    padded = rows_of(sound, "last", keep, channel_dim=1)
    torch.testing.assert_close(padded, torch.stack([sound[0, :, 6], sound[1, :, 2]]))
    time_first = sound.permute(2, 0, 1)  # (L, B, C)
    pooled = rows_of(time_first, "mean", batch_dim=1)
    torch.testing.assert_close(pooled, sound.mean(dim=2))


def test_five_dimensions_are_flattened_only():
    video = torch.randn(2, 3, 2, 2, 2)
    assert rows_of(video, "flatten").shape == (2, 24)
    for policy in set(POLICIES) - {"flatten"}:
        with pytest.raises(NoRowsError, match=r"from its 5-D output .* Use rows='flatten'"):
            rows_of(video, policy)


def test_one_dimension_gives_one_column():
    assert rows_of(torch.arange(3.0), "auto").tolist() == [[0.0], [1.0], [2.0]]


@pytest.mark.parametrize(
    ("policy", "shape"),
    [("token", (2, 3)), ("token", (2, 3, 4, 4)), ("cls", (2, 3, 4, 4)), ("last", (2, 3, 4, 4))],
)
def test_shapes_without_a_policy_are_refused(policy, shape):
    message = rf"policy '{policy}' takes no rows from its {len(shape)}-D output .* Use rows='auto'"
    with pytest.raises(NoRowsError, match=message):
        rows_of(torch.zeros(shape), policy)


def test_no_batch_dimension_is_refused():
    with pytest.raises(NoRowsError, match=r"output \(7, 3\) has no batch of 4 samples in dim"):
        take_rows(torch.zeros(7, 3), Rows(), size=4)
    with pytest.raises(NoRowsError) as error:
        take_rows(torch.zeros(4), Rows(batch_dim=1), size=4)
    assert str(error.value) == (
        "its output (4,) has no batch of 4 samples in dimension 1. Samples are counted in "
        "dimension 0 of the input, whatever the model wants: give batches (B, T, ...) and, where "
        "it takes (T, B, ...), forward=lambda model, batch: model(batch.transpose(0, 1))."
    )


@pytest.mark.parametrize("shape", [(4, 0), (4, 3, 0)])
def test_an_output_without_numbers_is_refused(shape):
    with pytest.raises(NoRowsError, match=r"holds no numbers\. Select another layer"):
        take_rows(torch.zeros(shape), Rows(), size=4)


def test_batch_dim_moves_the_batch_to_the_front():
    activation = torch.randn(5, 3, 2)
    moved = rows_of(activation, "mean", KEEP, batch_dim=1)
    torch.testing.assert_close(moved, rows_of(activation.transpose(0, 1), "mean", KEEP))
    image = torch.randn(4, 2, 5, 3)  # (C, B, H, W)
    pooled = rows_of(image, "mean", batch_dim=1, channel_dim=0)
    torch.testing.assert_close(pooled, image.mean(dim=(2, 3)).T)
    flat = rows_of(image, "auto", batch_dim=1)
    torch.testing.assert_close(flat, image.transpose(0, 1).reshape(2, 60))


@pytest.mark.parametrize("dims", [(1, 1), (1, -3), (-3, 1), (0, 0), (1, None)])
def test_the_batch_is_not_the_channels_of_a_mean_over_positions(dims):
    batch_dim, channel_dim = dims
    message = r"^rows: batch_dim and channel_dim are the same dimension of a 4-D output"
    with pytest.raises(ConfigError, match=message):
        rows_of(torch.randn(4, 4, 5, 3), "mean", batch_dim=batch_dim, channel_dim=channel_dim)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("policy", ["auto", "flatten", "cls", "token"])
def test_half_precision_is_widened(dtype, policy):
    activation = torch.randn(3, 5, 2).to(dtype)
    taken = rows_of(activation, policy)
    assert taken.dtype == torch.float32
    torch.testing.assert_close(taken, rows_of(activation.float(), policy))


def test_mean_of_half_precision_does_not_overflow():
    large = torch.full((2, 512, 1), 60000.0).half()
    keep = torch.ones(2, 512)
    keep[1, 256:] = 0
    assert rows_of(large, "mean").flatten().tolist() == [60000.0, 60000.0]
    assert rows_of(large, "mean", keep).flatten().tolist() == [60000.0, 60000.0]


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_taking_rows_never_waits_for_the_device(policy):
    # The meta device refuses every read of a value on the host.
    keep = None if policy == "flatten" else KEEP
    taken = rows_of(torch.empty(3, 5, 2, device="meta"), policy, keep, normalize=True)
    assert taken.device.type == "meta"
    assert taken.shape[0] == (11 if policy == "token" else 3)


def test_float64_stays():
    assert rows_of(torch.randn(3, 5, 2, dtype=torch.float64), "auto").dtype == torch.float64


def test_normalize_gives_unit_rows_at_any_scale():
    activation = torch.randn(4, 8)
    expected = activation / activation.norm(dim=1, keepdim=True)
    for scale in (1e-30, 1.0, 1e30):
        taken = rows_of(activation * scale, "auto", normalize=True)
        torch.testing.assert_close(taken, expected)
    assert rows_of(torch.zeros(2, 3), "auto", normalize=True).tolist() == [[0.0] * 3] * 2


@given(
    policy=st.sampled_from(sorted(POLICIES)),
    ndim=st.integers(2, 5),
    dtype=st.sampled_from([torch.float16, torch.float32, torch.float64]),
    normalize=st.booleans(),
)
def test_rows_never_share_memory_with_the_activation(policy, ndim, dtype, normalize):
    if ndim not in POLICIES[policy]:
        return
    activation = torch.randn([3, 4, 2, 3, 2][:ndim]).to(dtype)
    taken = rows_of(activation, policy, normalize=normalize)
    before = taken.clone()
    activation.fill_(7)
    assert torch.equal(taken, before)


def test_rows_that_are_used_up_are_not_copied():
    activation = torch.randn(3, 4)
    taken = take_rows(activation, Rows(), size=3, own=False).values
    assert taken.data_ptr() == activation.data_ptr()


def test_rows_are_detached():
    activation = torch.randn(3, 5, 2, requires_grad=True)
    assert not rows_of(activation, "auto").requires_grad


def test_unknown_policy_is_refused_with_close_names():
    with pytest.raises(
        ConfigError, match=r"no policy 'tokens'. Close names: 'token'. Known: 'auto'"
    ):
        Rows("tokens")


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ({"normalize": "yes"}, "normalize: expected True or False, got 'yes'."),
        ({"mask": None}, "mask: expected the key of a mask in the batch, got None."),
        ({"output_index": 1.5}, "output_index: expected a whole number, a name or None, got 1.5."),
        ({"output_index": True}, "output_index: expected a whole number, a name or None, got Tru"),
        ({"batch_dim": None}, "batch_dim: expected a whole number, got None."),
        ({"channel_dim": "last"}, "channel_dim: expected a whole number or None, got 'last'."),
        ({"mask_is_padding": 1}, "mask_is_padding: expected True, False or None, got 1."),
        ({"policy": ["mean"]}, "no policy ['mean']. "),
    ],
)
def test_other_kinds_of_arguments_are_refused(option, expected):
    with pytest.raises(ConfigError, match=re.escape(f"rows: {expected}")):
        Rows(**{"policy": "mean", **option})


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 4, 5)])
@pytest.mark.parametrize("dim", [4, -5])
def test_channels_beyond_the_dimensions_are_refused(shape, dim):
    message = f"{shape} has no dimension {dim} for channels. Use channel_dim=-1 for the last one."
    with pytest.raises(NoRowsError, match=re.escape(message)):
        take_rows(torch.zeros(shape), Rows("mean", channel_dim=dim), size=2)
    flat = Rows("flatten", channel_dim=dim)  # which reads no channels of four dimensions
    assert take_rows(torch.zeros(2, 3, 4, 5), flat, size=2).values.shape == (2, 60)


def test_policies_by_name():
    assert as_rows("cls") == Rows("cls")
    rows = Rows("mean", normalize=True)
    assert as_rows(rows) is rows


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
def test_what_is_not_plain_is_taken_as_the_tensor_that_it_stands_for():
    dense = torch.tensor([[0.0, 2.0], [1.0, 0.0]])
    for activation in (dense.to_sparse(), torch.quantize_per_tensor(dense, 1.0, 0, torch.qint8)):
        taken = take_rows(activation, Rows(), size=2).values
        assert torch.equal(taken, dense)
        assert taken.layout == torch.strided


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_numbers_that_are_not_real_are_refused(dtype):
    with pytest.raises(NoRowsError, match=f"its output is of type {dtype}, not floating point"):
        take_rows(torch.zeros(2, 3).to(dtype), Rows(), size=2)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_a_nested_tensor_is_refused():
    nested = torch.nested.nested_tensor([torch.zeros(2, 3), torch.zeros(3, 3)])
    with pytest.raises(NoRowsError, match="its output is a nested tensor, of sequences that diff"):
        take_rows(nested, Rows("mean"), size=2)

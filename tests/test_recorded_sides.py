"""Recordings as sides of a comparison, from outside: the same bits as the live models."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

import hooksim

N_SAMPLES, BATCH = 230, 32


class Sentences(nn.Module):
    """Gives (batch, time, 6) twice, the second layer's tensor being the first one's."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embed = nn.Embedding(20, 6)
        self.mix = nn.Linear(6, 6)
        self.same = nn.Identity()

    def forward(self, input_ids, attention_mask=None):
        return self.same(self.mix(self.embed(input_ids)))


def stack(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Identity(), nn.Linear(9, 5))


def samples(n: int = N_SAMPLES, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))


def batches(n: int = N_SAMPLES, size: int = BATCH) -> list[torch.Tensor]:
    return list(samples(n).split(size))


def sentences(padding: int = 0) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    found = []
    for size in (16, 16, 16, 5):
        ids = torch.randint(0, 20, (size, 7), generator=generator)
        mask = torch.arange(7) < torch.randint(2, 8, (size, 1), generator=generator)
        pad = torch.zeros(size, padding, dtype=torch.int64)
        ids, mask = torch.cat([ids, pad], 1), torch.cat([mask.long(), pad], 1)
        found.append({"input_ids": ids, "attention_mask": mask})
    return found


def compared(a, b, loader=None, **options):
    return hooksim.compare(a, b, loader, progress=False, **options)


def assert_same_bits(result, expected, tolerance: float = 0) -> None:
    assert result.keys() == expected.keys()
    for key in result:
        for found, wanted in (
            (result[key].values, expected[key].values),
            (result[key].stderr, expected[key].stderr),
        ):
            torch.testing.assert_close(found, wanted, rtol=0, atol=tolerance, equal_nan=True)
    assert result.metadata["blocks"] == expected.metadata["blocks"]
    assert result.metadata["layers_a"] == expected.metadata["layers_a"]


@pytest.mark.parametrize("block_size", ["auto", 64, "batch", "all"])
@pytest.mark.parametrize("on_disk", [False, True])
def test_two_recordings_give_the_bits_of_the_live_comparison(tmp_path, block_size, on_disk):
    a, b = stack(0), stack(1)
    live = compared(a, b, batches(), layers_a="*", block_size=block_size)
    first, second = (
        hooksim.record(
            model, batches(), "*", path=tmp_path / name if on_disk else None, progress=False
        )
        for model, name in ((a, "a"), (b, "b"))
    )
    if on_disk:
        first, second = (hooksim.Recording.load(tmp_path / name) for name in "ab")
    assert_same_bits(compared(first, second, block_size=block_size), live)
    assert_same_bits(compared(first, b, batches(), layers_b="*", block_size=block_size), live)
    assert_same_bits(compared(a, second, batches(), layers_a="*", block_size=block_size), live)


@pytest.mark.parametrize("block_size", ["auto", 64, "batch", "all"])
@pytest.mark.parametrize("rows", ["auto", "cls", "token", hooksim.Rows("mean", normalize=True)])
def test_every_row_policy_is_recorded_bit_for_bit(rows, block_size):
    a, b = Sentences(0), Sentences(1)
    options = {"layers_a": ["embed", "mix", "same"], "block_size": block_size}
    live = compared(a, b, sentences(), rows=rows, **options)
    first, second = (
        hooksim.record(model, sentences(), options["layers_a"], rows, progress=False)
        for model in (a, b)
    )
    assert_same_bits(compared(first, second, **options), live)
    again = compared(first, b, sentences(), rows=("auto", rows), **options)
    assert_same_bits(again, live)
    assert live.metadata["unit"] == again.metadata["unit"]


def test_one_recording_stands_for_both_sides():
    recording = hooksim.record(stack(0), batches(), progress=False)
    result = compared(recording, recording)
    assert torch.allclose(result["cka"].values.diagonal(), torch.ones(2, dtype=torch.float64))


def test_max_samples_cuts_recordings_as_it_cuts_a_loader():
    a, b = stack(0), stack(1)
    first, second = (hooksim.record(each, batches(), progress=False) for each in (a, b))
    for block_size, most in itertools.product((40, "batch", "all"), (100, 128)):
        options = {"block_size": block_size, "max_samples": most}
        live = compared(a, b, batches(), **options)
        assert live.n_samples == most
        # A model run on a shorter batch rounds otherwise: that is no cut of its recorded rows.
        tolerance = 0 if most % BATCH == 0 else 1e-6
        assert_same_bits(compared(first, second, **options), live, tolerance)
        assert_same_bits(compared(first, b, batches(), **options), live, tolerance)


def test_features_from_elsewhere_are_compared():
    x = samples()
    features = {"raw": x.numpy(), "square": (x.double().numpy() ** 2)}
    recording = hooksim.Recording.from_tensors(features)
    result = compared(recording, recording, block_size=N_SAMPLES)
    forth, _ = hooksim.functional.information_imbalance(x, x.double() ** 2)
    found = result["information_imbalance_a_to_b"].values[0, 1]
    torch.testing.assert_close(found, forth.double(), rtol=0, atol=1e-6)
    model = compared(recording, stack(0), batches(), layers_a="raw")
    assert (model["cka"].layers_a, model["cka"].layers_b) == (["raw"], ["0", "3"])
    assert model.metadata["model_a"] == "features"


def test_features_have_no_batches():
    recording = hooksim.Recording.from_tensors({"x": samples()})
    with pytest.raises(hooksim.ConfigError, match="batch"):
        compared(recording, recording, block_size="batch")


def test_layers_of_a_recording_are_chosen_as_those_of_a_model():
    recording = hooksim.record(stack(0), batches(), "*", progress=False)
    result = compared(recording, recording, layers_a=["3", "0"], layers_b="re:[12]")
    assert (result["cka"].layers_a, result["cka"].layers_b) == (["3", "0"], ["1", "2"])
    assert compared(recording, recording, layers_a="0")["cka"].layers_b == ["0"]
    same = compared(recording, stack(1), batches(), pairs="same_name")
    assert same["cka"].layers_a == same["cka"].layers_b == ["0", "3"]
    with pytest.raises(hooksim.LayerNotFoundError, match=r"no layer of recording A .* '7'"):
        compared(recording, recording, layers_a="7")


def test_rows_of_a_recording_cannot_be_taken_otherwise():
    recording = hooksim.record(Sentences(0), sentences(), "embed", "mean", progress=False)
    compared(recording, recording, rows="mean")
    with pytest.raises(hooksim.ConfigError, match=r"'mean'.*'cls'|'cls'.*'mean'"):
        compared(recording, recording, rows="cls")


@pytest.mark.parametrize("block_size", ["auto", "batch", "all"])
def test_other_samples_are_refused(block_size):
    shuffled = samples()[torch.randperm(N_SAMPLES, generator=torch.Generator().manual_seed(3))]
    model = stack(0)
    first = hooksim.record(model, batches(), progress=False)
    second = hooksim.record(model, list(shuffled.split(BATCH)), progress=False)
    options = {"block_size": block_size}
    for a, b, loader in (
        (first, second, None),
        (first, model, list(shuffled.split(BATCH))),
        (model, second, batches()),
    ):
        with pytest.raises(hooksim.AlignmentError, match=r"sample 0\b"):
            compared(a, b, loader, **options)


def test_the_first_other_sample_is_named_by_its_id():
    rows = samples(6)
    first = hooksim.Recording.from_tensors({"x": rows}, sample_ids=list("abcdef"))
    second = hooksim.Recording.from_tensors({"x": rows}, sample_ids=list("abcxef"))
    with pytest.raises(hooksim.AlignmentError, match=r"sample 3.*'d'.*'x'"):
        compared(first, second)


def test_padding_is_no_mismatch():
    first = hooksim.record(Sentences(0), sentences(), ["embed"], progress=False)
    second = hooksim.record(Sentences(0), sentences(padding=3), ["embed"], progress=False)
    values = compared(first, second)["cka"].values
    torch.testing.assert_close(values, torch.ones_like(values), rtol=0, atol=1e-6)


def test_counts_that_differ_are_refused():
    model = stack(0)
    first = hooksim.record(model, batches(), progress=False)
    shorter = hooksim.record(model, batches(200), progress=False)
    with pytest.raises(hooksim.AlignmentError, match=r"230.*200"):
        compared(first, shorter)
    with pytest.raises(hooksim.AlignmentError, match="200"):
        compared(shorter, model, batches())
    with pytest.raises(hooksim.AlignmentError, match="230"):
        compared(first, model, batches(192))


def test_how_samples_were_matched_is_written_down():
    rows, model = samples(), stack(0)
    features = hooksim.Recording.from_tensors({"x": rows})
    named = hooksim.Recording.from_tensors({"x": rows}, sample_ids=range(N_SAMPLES))
    recording = hooksim.record(model, batches(), progress=False)
    doubtful = compared(features, recording).metadata
    assert doubtful["matched_by"] == "counts"
    assert [warning["code"] for warning in doubtful["warnings"]] == ["unmatched_samples"]
    assert compared(features, model, batches()).metadata["warnings"] == []
    assert compared(named, named).metadata["matched_by"] == "one source"
    assert compared(recording, model, batches()).metadata["matched_by"] == "inputs"
    assert compared(model, model, batches()).metadata["matched_by"] == "one source"
    assert compared(model, stack(1), batches()).metadata["matched_by"] == "one loader"
    other = hooksim.Recording.from_tensors({"x": rows}, sample_ids=np.arange(N_SAMPLES))
    assert compared(named, other).metadata["matched_by"] == "sample_ids"


def test_an_incomplete_recording_warns(tmp_path):
    def interrupted():
        yield from batches()[:4]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hooksim.record(stack(0), interrupted(), path=tmp_path / "half", progress=False)
    half = hooksim.Recording.load(tmp_path / "half")
    assert not half.complete
    assert half.n_samples == 4 * BATCH
    result = compared(half, stack(1), batches(half.n_samples))
    codes = [warning["code"] for warning in result.metadata["warnings"]]
    assert codes.count("incomplete_recording") == 1


WRONG = {
    "a loader for two recordings": (
        lambda recording: compared(recording, recording, batches()),
        "loader: expected None for two recordings, which hold their samples, got list.",
    ),
    "no loader for a model": (
        lambda recording: compared(recording, stack(0)),
        "loader: expected an iterable of batches, got None. "
        "Only recordings on both sides need none.",
    ),
    "a forward for two recordings": (
        lambda recording: compared(recording, recording, forward=lambda model, batch: None),
        "forward: expected None for recordings: no model is run.",
    ),
    "a path": (
        lambda recording: compared(recording, "runs/a"),
        "b: expected a torch.nn.Module or a hooksim.Recording, got str.",
    ),
    "arrays": (
        lambda recording: compared(recording, {"x": samples()}),
        "b: expected a torch.nn.Module or a hooksim.Recording, got dict. Of arrays "
        "hooksim.Recording.from_tensors makes one.",
    ),
    "memory": (
        lambda recording: compared(recording, recording, memory_budget=-1),
        "memory_budget: expected bytes, from 0, or None, got -1.",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_calls_are_one_line(name):
    call, message = WRONG[name]
    with pytest.raises(hooksim.ConfigError) as raised:
        call(hooksim.record(stack(0), batches(), progress=False))
    assert str(raised.value) == message

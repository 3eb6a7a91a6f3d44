"""What two sides have in common without being told: layers, and a row policy."""

import copy

import pytest
import torch
from torch import nn

import hooksim
from tests.capture.tiny_models import text_batch, tiny

X = [torch.randn(40, 6, generator=torch.Generator().manual_seed(n)) for n in range(2)]


def said(result, code, kind="warnings"):
    return [each["text"] for each in result.metadata[kind] if each["code"] == code]


def model():
    return nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6))


def test_layers_in_both_models():
    base = model()
    other = nn.Sequential(*base, nn.Linear(6, 3))
    [text] = said(hooksim.compare(base, other, X, progress=False), "shared_layers")
    assert text == (
        "models A and B share the parameters of 2 of 2 layers of A ('0', '2'): that these are "
        "alike shows nothing. peft changes a base model in place; load the base a second time."
    )
    [text] = said(hooksim.compare(other, base, X, progress=False), "shared_layers")
    assert "2 of 3 layers of A ('0', '2')" in text


def test_models_that_share_nothing_compared():
    base, act = model(), nn.ReLU()
    pairs = [
        (base, base),
        (base, nn.DataParallel(base)),
        (base, copy.deepcopy(base)),
        (nn.Sequential(nn.Linear(6, 6), act), nn.Sequential(nn.Linear(6, 6), act)),
    ]
    for a, b in pairs:
        assert not said(hooksim.compare(a, b, X, progress=False), "shared_layers")
    head = nn.Sequential(*base, nn.Linear(6, 3))
    options = {"layers_a": "2", "layers_b": "3", "progress": False}
    assert not said(hooksim.compare(base, head, X, **options), "shared_layers")


@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft asks by an old name
def test_a_lora_model_against_the_base_that_it_changed():
    peft = pytest.importorskip("peft")
    base, batch = copy.deepcopy(tiny("Bert")), text_batch([3, 5, 4, 6] * 3)
    fresh = copy.deepcopy(base)
    lora = peft.get_peft_model(base, peft.LoraConfig(target_modules=["query"]))
    assert said(hooksim.compare(base, lora, [batch], progress=False), "shared_layers")
    assert not said(hooksim.compare(fresh, lora, [batch], progress=False), "shared_layers")


def test_a_model_follows_the_policy_of_a_recording():
    batch = text_batch([3, 5, 4, 6] * 3)
    a, b = tiny("Bert"), tiny("Bert")
    recording = hooksim.record(a, [batch], rows="cls", progress=False)
    expected = hooksim.compare(a, b, [batch], rows="cls", progress=False)["cka"].values
    for sides in ((recording, b), (a, recording)):
        result = hooksim.compare(*sides, [batch], progress=False)
        assert {side["policy"] for side in result.metadata["rows"].values()} == {"cls"}
        assert said(result, "rows_as_recorded", "notes") == [
            "rows: 'cls' for the model too, as recorded; a pair gives each side its own."
        ]
    result = hooksim.compare(recording, b, [batch], progress=False)
    torch.testing.assert_close(result["cka"].values, expected)
    paired = hooksim.compare(recording, b, [batch], rows=("auto", "mean"), progress=False)
    assert paired.metadata["rows"]["b"]["policy"] == "mean"
    assert not said(paired, "rows_as_recorded", "notes")


def test_recordings_of_different_policies():
    batch = text_batch([3, 5, 4, 6] * 3)
    cls, mean = (
        hooksim.record(tiny("Bert"), [batch], rows=rows, progress=False) for rows in ("cls", "mean")
    )
    [text] = said(hooksim.compare(cls, mean), "different_rows")
    assert text == (
        "rows: the recordings hold rows by different policies ('cls', 'mean'), which are compared "
        "as they are. Record both by one policy."
    )
    assert not said(hooksim.compare(cls, cls), "different_rows")
    assert not said(hooksim.compare(cls, mean, rows=("cls", "mean")), "different_rows")

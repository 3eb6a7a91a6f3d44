"""Wrong calls of `hooksim.compare`: one clear line each, and everything as it was before."""

import pytest
import torch
from torch import nn

import hooksim


def model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def data(n: int = 40) -> list[torch.Tensor]:
    return list(torch.randn(n, 6).split(10))


class Recurrent(nn.Module):
    """Gives (batch, time, 4), with a head that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.unused = nn.Linear(4, 4)

    def forward(self, input_ids, attention_mask=None):
        return self.embed(input_ids)


def tokens(n: int = 8, length: int = 5) -> torch.Tensor:
    return torch.randint(0, 10, (n, length))


WITH_NAN = [torch.randn(10, 6), torch.randn(10, 6).index_fill_(0, torch.tensor([3]), torch.nan)]

CASES = {
    "model is a path": (
        lambda: hooksim.compare("runs/a", model(), data()),
        hooksim.ConfigError,
        "a: expected a torch.nn.Module or a hooksim.Recording, got str.",
    ),
    "no loader": (
        lambda: hooksim.compare(model(), model()),
        hooksim.ConfigError,
        "loader: expected an iterable of batches, got None. "
        "Only recordings on both sides need none.",
    ),
    "loader is a number": (
        lambda: hooksim.compare(model(), model(), 7),
        hooksim.ConfigError,
        "loader: expected an iterable of batches, got int.",
    ),
    "no batches": (
        lambda: hooksim.compare(model(), model(), []),
        hooksim.NotEnoughSamplesError,
        "the data has 0 rows; CKA (linear, debiased) needs at least 4 in a block. "
        "The loader gave no batches; a generator can be read only once.",
    ),
    "3 samples": (
        lambda: hooksim.compare(model(), model(), data(3)),
        hooksim.NotEnoughSamplesError,
        "the data has 3 rows; CKA (linear, debiased) needs at least 4 in a block. "
        "Use more samples.",
    ),
    "k too large": (
        lambda: hooksim.compare(
            model(), model(), data(), measures=[hooksim.InformationImbalance(k=39)]
        ),
        hooksim.NotEnoughSamplesError,
        "the data has 40 rows; Information Imbalance (k = 39) needs at least 41 in a block. "
        "Use more samples.",
    ),
    "k zero": (
        lambda: hooksim.InformationImbalance(k=0),
        hooksim.ConfigError,
        "k: expected a whole number from 1, got 0.",
    ),
    "no layer matches": (
        lambda: hooksim.compare(model(), model(), data(), layers_a="layer.*"),
        hooksim.LayerNotFoundError,
        "no layer of model A (Sequential) matches 'layer.*'.",
    ),
    "layer never fires": (
        lambda: hooksim.compare(
            Recurrent(), Recurrent(), [{"input_ids": tokens()}], layers_a="unused"
        ),
        hooksim.LayerNotFoundError,
        "layer 'unused' of model A (Recurrent): it is not called in the forward pass.",
    ),
    "sample counts differ": (
        lambda: hooksim.compare(
            model(), model(), [hooksim.PairedBatch(torch.randn(8, 6), torch.randn(7, 6))]
        ),
        hooksim.AlignmentError,
        "batch 0 (first sample 0): 8 samples for model A, 7 for model B.",
    ),
    "NaN activations": (
        lambda: hooksim.compare(model(), model(), WITH_NAN),
        hooksim.NonFiniteError,
        "layer '0' of model A (Sequential): 1 of 20 rows hold NaN or infinity, the first of them "
        "row 3 of batch 1 (sample 13).",
    ),
    "mask lost in a tuple": (
        lambda: hooksim.compare(
            Recurrent(), Recurrent(), [(tokens(), torch.ones(8, 5, dtype=torch.int64))]
        ),
        hooksim.ConfigError,
        "mask",
    ),
    "token policy on 2-D": (
        lambda: hooksim.compare(model(), model(), data(), rows="token", layers_a="0"),
        hooksim.LayerNotFoundError,
        "layer '0' of model A (Sequential), batch 0 (first sample 0): policy 'token' takes no rows",
    ),
    "unknown policy": (
        lambda: hooksim.compare(model(), model(), data(), rows="tokens"),
        hooksim.ConfigError,
        "'token'",
    ),
    "three policies": (
        lambda: hooksim.compare(model(), model(), data(), rows=("auto", "auto", "auto")),
        hooksim.ConfigError,
        "rows: expected one policy or two, for A and B, got 3.",
    ),
    "unknown measure": (
        lambda: hooksim.compare(model(), model(), data(), measures=["cca"]),
        hooksim.ConfigError,
        "measures: expected one of cka, information_imbalance, got 'cca', did you mean 'cka'?",
    ),
    "unknown option of a measure": (
        lambda: hooksim.compare(
            model(), model(), data(), measures=[{"name": "cka", "unbiased": True}]
        ),
        hooksim.ConfigError,
        "measures: cka: ",
    ),
    "no measure": (
        lambda: hooksim.compare(model(), model(), data(), measures=[]),
        hooksim.ConfigError,
        "measures: expected at least one of cka, information_imbalance, got none.",
    ),
    "equal keys": (
        lambda: hooksim.compare(model(), model(), data(), measures=["cka", hooksim.CKA()]),
        hooksim.ConfigError,
        "measures: two of them would write 'cka'. Give one of them another key=.",
    ),
    "block too small": (
        lambda: hooksim.compare(model(), model(), data(), block_size=3),
        hooksim.ConfigError,
        "block_size: CKA (linear, debiased) needs at least 4 samples in a block, got 3.",
    ),
    "block size no number": (
        lambda: hooksim.compare(model(), model(), data(), block_size="large"),
        hooksim.ConfigError,
        "block_size: expected an integer, 'batch', 'all' or 'auto', got 'large'.",
    ),
    "pairs": (
        lambda: hooksim.compare(model(), model(), data(), pairs="diagonal"),
        hooksim.ConfigError,
        "pairs: expected 'all' or 'same_name', got 'diagonal'.",
    ),
    "no common names": (
        lambda: hooksim.compare(
            model(), model(), data(), layers_a="0", layers_b="2", pairs="same_name"
        ),
        hooksim.LayerNotFoundError,
        "pairs='same_name': no layer has the same name on both sides",
    ),
    "max_samples": (
        lambda: hooksim.compare(model(), model(), data(), max_samples=0),
        hooksim.ConfigError,
        "max_samples: expected a whole number from 1, got 0.",
    ),
    "max_samples no number": (
        lambda: hooksim.compare(model(), model(), data(), max_samples="10"),
        hooksim.ConfigError,
        "max_samples: expected a whole number from 1, got '10'.",
    ),
    "k no whole number": (
        lambda: hooksim.InformationImbalance(k=2.0),
        hooksim.ConfigError,
        "k: expected a whole number from 1, got 2.0.",
    ),
    "k larger than automatic blocks": (
        lambda: hooksim.compare(
            model(), model(), data(), measures=hooksim.InformationImbalance(k=3000)
        ),
        hooksim.ConfigError,
        "block_size='auto' makes blocks of 2048 here; Information Imbalance (k = 3000) needs at "
        "least 3002. Give block_size=3002 or more.",
    ),
    "the class of a measure": (
        lambda: hooksim.compare(model(), model(), data(), measures=[hooksim.CKA]),
        hooksim.ConfigError,
        "measures: expected a name or a measure, got <class",
    ),
    "measures no list": (
        lambda: hooksim.compare(model(), model(), data(), measures=3),
        hooksim.ConfigError,
        "measures: expected a name or a measure, got 3.",
    ),
    "one batch instead of a loader": (
        lambda: hooksim.compare(model(), model(), {"input_ids": tokens()}),
        hooksim.ConfigError,
        "loader: expected an iterable of batches, got dict. Put a batch in a list.",
    ),
    "memory in words": (
        lambda: hooksim.compare(model(), model(), data(), memory_budget="2 GiB"),
        hooksim.ConfigError,
        "memory_budget: expected bytes, from 0, or None, got '2 GiB'.",
    ),
    "what to do with NaN": (
        lambda: hooksim.compare(model(), model(), data(), on_nonfinite="skip"),
        hooksim.ConfigError,
        "on_nonfinite: expected 'error' or 'drop', got 'skip'.",
    ),
    "kernel": (
        lambda: hooksim.CKA(kernel="polynomial"),
        hooksim.ConfigError,
        "kernel: expected 'linear' or 'rbf', got 'polynomial'.",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_one_clear_line(name):
    call, kind, words = CASES[name]
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    assert words in message
    assert "\n" not in message
    assert isinstance(caught.value, hooksim.HooksimError)


def test_an_error_of_the_model_says_where():
    wide = [torch.randn(8, 5)]
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied") as caught:
        hooksim.compare(model(), model(), wide)
    assert caught.value.__notes__ == [
        "in the forward pass of model A (Sequential), batch 0 (first sample 0), given "
        "(8, 5) float32"
    ]


class Failing(nn.Module):
    """Raises in its second forward."""

    def __init__(self, error: type[BaseException]) -> None:
        super().__init__()
        self.body = model()
        self.error = error
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        if self.calls == 2:
            raise self.error("stop here")
        return self.body(x)


def hooks_of(*models: nn.Module) -> int:
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks)
        for each in models
        for module in each.modules()
    )


def flags_of(*models: nn.Module) -> list[bool]:
    return [module.training for each in models for module in each.modules()]


@pytest.mark.parametrize(
    ("make", "options", "error"),
    [
        (model, {}, None),
        (model, {"layers_b": "nowhere"}, hooksim.LayerNotFoundError),
        (model, {"rows": "token", "layers_a": "0"}, hooksim.LayerNotFoundError),
        (model, {"block_size": "batch", "max_samples": 3}, hooksim.NotEnoughSamplesError),
        (lambda: Failing(RuntimeError), {}, RuntimeError),
        (lambda: Failing(KeyboardInterrupt), {}, KeyboardInterrupt),
    ],
)
def test_models_are_as_before_whatever_happens(make, options, error):
    a, b = model().train(), make().train()
    a[0].eval()
    b.get_submodule("body" if isinstance(b, Failing) else "1").eval()
    before = flags_of(a, b)
    try:
        hooksim.compare(a, b, data(), progress=False, **options)
        outcome = None
    except BaseException as caught:
        outcome = type(caught)
    assert outcome is error
    assert hooks_of(a, b) == 0
    assert flags_of(a, b) == before
    assert all(parameter.requires_grad and parameter.grad is None for parameter in a.parameters())


def test_the_check_for_hooks_can_fail():
    a = model()
    a.register_forward_hook(lambda *_: None)
    assert hooks_of(a) == 1

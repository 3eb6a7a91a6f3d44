"""The TensorDict estimators: published numbers, keys, shapes, dtypes and refusals."""

import pytest
import torch
from tensordict import TensorDict
from tensordict.nn import TensorDictModule, TensorDictModuleBase, TensorDictSequential

import hooksim
from hooksim import CkaEstimator, InformationImbalanceEstimator
from hooksim.errors import ConfigError, NotEnoughSamplesError, ShapeError
from tests import reference
from tests.datasets import CASES

A_TO_B, B_TO_A = "information_imbalance_a_to_b", "information_imbalance_b_to_a"
BOTH = [CkaEstimator, InformationImbalanceEstimator]


def pair(a: torch.Tensor, b: torch.Tensor, batch: tuple[int, ...] = ()) -> TensorDict:
    return TensorDict({"data_a": a, "data_b": b}, batch_size=batch)


def cka(a: torch.Tensor, b: torch.Tensor, **options) -> torch.Tensor:
    return CkaEstimator(**options)(pair(a, b))["cka"]


def imbalance(a: torch.Tensor, b: torch.Tensor, **options) -> list[torch.Tensor]:
    out = InformationImbalanceEstimator(**options)(pair(a, b))
    return [out[A_TO_B], out[B_TO_A]]


class TestPublishedNumbers:
    def test_cka(self):
        torch.manual_seed(0)
        x = torch.randn(256, 32)
        q = torch.linalg.qr(torch.randn(32, 32))[0]
        z = torch.randn(256, 24)
        a = torch.randn(3, 128, 16)
        b = a + 0.05 * torch.randn(3, 128, 16)
        assert cka(x, x).item() == pytest.approx(1.0, abs=1e-6)
        assert cka(x, x @ q).item() == pytest.approx(1.0, abs=1e-6)
        assert cka(x, z).item() == pytest.approx(0.10095701366662979, abs=1e-6)
        assert [round(value, 4) for value in cka(a, b).tolist()] == [0.9979, 0.9978, 0.9976]

    @pytest.mark.parametrize(
        ("dtype", "expected"),
        [(torch.float64, (0.13769531, 0.15670573)), (torch.float32, (0.14343262, 0.15748814))],
    )
    def test_imbalance_with_ties(self, dtype, expected):
        t = torch.linspace(-1, 1, 128, dtype=dtype)[:, None]
        a, b = t, (4 * t).round() / 4
        for order in (torch.arange(128), torch.randperm(128), torch.arange(127, -1, -1)):
            got = [value.item() for value in imbalance(a[order], b[order])]
            assert got == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_hard_cases(name):
    x, y = CASES[name]()
    expected = reference.cka(x, y, debiased=False)
    assert cka(x, y).item() == pytest.approx(expected, abs=1e-4)
    got = [value.item() for value in imbalance(x, y, k=3)]
    assert got == pytest.approx(reference.information_imbalance(x, y, k=3), abs=1e-4)


def test_debiased_cka():
    x, y = CASES["offset 100"]()
    expected = reference.cka(x, y)
    assert cka(x, y, debiased=True).item() == pytest.approx(expected, abs=1e-4)
    assert abs(cka(x, y).item() - expected) > 1e-3


@pytest.mark.parametrize("p", [1.0, float("inf")])
def test_imbalance_with_other_distances(p):
    x, y = CASES["offset 10"]()
    got = [value.item() for value in imbalance(x, y, p=p)]
    assert got == pytest.approx(reference.information_imbalance(x, y, p=p), abs=1e-4)


class TestTensorDict:
    @pytest.mark.parametrize("estimator", BOTH)
    def test_the_same_tensordict_comes_back(self, estimator):
        data = pair(torch.randn(8, 3), torch.randn(8, 2))
        data["kept"] = torch.ones(1)
        out = estimator()(data)
        assert out is data
        assert set(out.keys()) == {"data_a", "data_b", "kept", *estimator().out_keys}

    def test_keys(self):
        assert list(CkaEstimator().in_keys) == ["data_a", "data_b"]
        assert list(CkaEstimator().out_keys) == ["cka"]
        assert list(InformationImbalanceEstimator().in_keys) == ["data_a", "data_b"]
        assert list(InformationImbalanceEstimator().out_keys) == [A_TO_B, B_TO_A]
        named = InformationImbalanceEstimator("u", "v", "to", "back")
        assert (list(named.in_keys), list(named.out_keys)) == (["u", "v"], ["to", "back"])

    @pytest.mark.parametrize("estimator", BOTH)
    def test_nested_keys(self, estimator):
        data = TensorDict({"net": {"a": torch.randn(8, 3)}, "b": torch.randn(8, 3)})
        module = estimator(("net", "a"), "b")
        assert list(module.in_keys) == [("net", "a"), "b"]
        assert all(module(data)[key].isfinite() for key in module.out_keys)

    def test_in_a_sequence(self):
        square = TensorDictModule(torch.square, in_keys=["data_a"], out_keys=["data_b"])
        module = TensorDictSequential(square, CkaEstimator(), InformationImbalanceEstimator())
        assert isinstance(CkaEstimator(), TensorDictModuleBase)
        assert list(module.in_keys) == ["data_a"]
        out = module(TensorDict({"data_a": torch.randn(20, 3)}))
        assert set(out.keys()) == {"data_a", "data_b", "cka", A_TO_B, B_TO_A}

    def test_with_a_batch_size(self):
        data = pair(torch.randn(4, 8, 3), torch.randn(4, 8, 2), batch=(4,))
        assert CkaEstimator()(data)["cka"].shape == (4,)
        assert InformationImbalanceEstimator()(data)[A_TO_B].shape == (4,)

    @pytest.mark.parametrize("estimator", BOTH)
    def test_the_input_is_left_alone(self, estimator):
        a, b = torch.randn(8, 3), torch.randn(8, 2)
        before = a.clone(), b.clone()
        estimator()(pair(a, b))
        assert torch.equal(a, before[0])
        assert torch.equal(b, before[1])

    def test_no_parameters(self):
        assert not list(CkaEstimator().parameters())
        assert not CkaEstimator().state_dict()


class TestBatches:
    @pytest.mark.parametrize("shape", [(12, 5), (3, 12, 5), (2, 3, 12, 5)])
    def test_one_scalar_per_item(self, shape):
        a = torch.randn(shape)
        b = a.square() + 0.1 * torch.randn(shape)
        values = [cka(a, b), *imbalance(a, b)]
        flat = a.reshape(-1, 12, 5), b.reshape(-1, 12, 5)
        expected = [
            [reference.cka(x, y, debiased=False), *reference.information_imbalance(x, y)]
            for x, y in zip(*flat, strict=True)
        ]
        for value, column in zip(values, zip(*expected, strict=True), strict=True):
            assert value.shape == shape[:-2]
            assert value.reshape(-1).tolist() == pytest.approx(list(column), abs=1e-5)

    @pytest.mark.parametrize("shape", [(0, 12, 5), (2, 0, 12, 5), (0, 2, 12, 5)])
    def test_empty_batch(self, shape):
        a, b = torch.zeros(shape), torch.zeros(shape)
        for value in (cka(a, b), cka(a, b, debiased=True), *imbalance(a, b)):
            assert value.shape == shape[:-2]
            assert value.dtype == torch.float32


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (torch.float32, torch.float32),
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.int64, torch.float32),
        (torch.int8, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_dtypes(dtype, expected):
    a, b = (3 * torch.randn(20, 4)).to(dtype), (3 * torch.randn(20, 4)).to(dtype)
    values = [cka(a, b), *imbalance(a, b)]
    assert [value.dtype for value in values] == [expected] * 3
    want = [reference.cka(a, b, debiased=False), *reference.information_imbalance(a, b)]
    assert [value.item() for value in values] == pytest.approx(want, abs=1e-5)


class TestDegenerate:
    @pytest.mark.parametrize("value", [0.0, 0.1, -1e5])
    def test_cka_of_a_constant_side_is_nan(self, value):
        x, constant = torch.randn(20, 3), torch.full((20, 4), value)
        for debiased in (True, False):
            assert cka(x, constant, debiased=debiased).isnan()
            assert cka(constant, x, debiased=debiased).isnan()

    def test_debiased_cka_below_four_samples_is_nan(self):
        x = torch.randn(4, 3)
        assert cka(x[:3], x[:3], debiased=True).isnan()
        assert cka(x, x, debiased=True).item() == pytest.approx(1.0)
        assert cka(x[:3], x[:3]).item() == pytest.approx(1.0)

    @pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e-6, 1.0, 1e12])
    @pytest.mark.parametrize("debiased", [True, False])
    def test_cka_does_not_depend_on_the_scale(self, scale, debiased):
        x, y = torch.randn(40, 3), torch.randn(40, 3)
        y += x
        expected = cka(x, y, debiased=debiased).item()
        assert cka(scale * x, y, debiased=debiased).item() == pytest.approx(expected, abs=1e-5)
        assert cka(x, scale * y, debiased=debiased).item() == pytest.approx(expected, abs=1e-5)

    def test_a_large_eps_makes_more_undefined(self):
        x = torch.randn(20, 3)
        assert cka(x, x, eps=1e3).isnan()

    @pytest.mark.parametrize("n", [2, 3, 20])
    def test_imbalance_of_a_constant_side_is_one(self, n):
        x, constant = torch.randn(n, 3), torch.full((n, 4), 0.1)
        for a, b in ((x, constant), (constant, x), (constant, constant)):
            assert [value.item() for value in imbalance(a, b)] == pytest.approx([1.0, 1.0])

    def test_imbalance_of_two_samples_is_one(self):
        got = imbalance(torch.randn(2, 3), torch.randn(2, 3))
        assert [value.item() for value in got] == [1.0, 1.0]

    def test_imbalance_with_as_many_neighbours_as_there_are(self):
        got = imbalance(torch.randn(8, 3), torch.randn(8, 3), k=7)
        assert [value.item() for value in got] == pytest.approx([1.0, 1.0])


class TestRefusals:
    """All are `ValueError`; the quoted words are the ones that callers match."""

    @pytest.mark.parametrize("estimator", BOTH)
    @pytest.mark.parametrize(
        ("shapes", "words"),
        [
            (((8, 2), (7, 2)), "matching sample counts"),
            (((2, 8, 2), (3, 8, 2)), "matching batch shapes"),
            (((2, 8, 2), (8, 2)), "matching batch shapes"),
            (((8,), (8, 2)), r"shape \(N, D\) or \(\.\.\., N, D\)"),
            (((8, 2), ()), r"shape \(N, D\) or \(\.\.\., N, D\)"),
        ],
    )
    def test_shapes(self, estimator, shapes, words):
        data = pair(*(torch.zeros(shape) for shape in shapes))
        with pytest.raises(ValueError, match=words) as error:
            estimator()(data)
        assert isinstance(error.value, ShapeError)
        assert "data_" in str(error.value)

    @pytest.mark.parametrize("estimator", BOTH)
    def test_devices(self, estimator):
        data = pair(torch.zeros(8, 2), torch.zeros(8, 2, device="meta"))
        with pytest.raises(ValueError, match="same device"):
            estimator()(data)

    @pytest.mark.parametrize("n", [0, 1])
    def test_too_few_samples(self, n):
        with pytest.raises(ValueError, match="at least 2 samples") as error:
            imbalance(torch.zeros(n, 2), torch.zeros(n, 2))
        assert isinstance(error.value, NotEnoughSamplesError)

    @pytest.mark.parametrize(
        "build",
        [
            lambda: CkaEstimator(kernel="rbf", bandwidth=0.0),
            lambda: CkaEstimator(kernel="typo"),
            lambda: InformationImbalanceEstimator(k=0),
            lambda: InformationImbalanceEstimator(p=-1.0),
        ],
    )
    def test_parameters_at_once(self, build):
        with pytest.raises(ConfigError):
            build()

    def test_more_neighbours_than_there_are(self):
        with pytest.raises(ValueError, match="k: expected 1 to 7 for 8 samples, got 8"):
            imbalance(torch.zeros(8, 2), torch.zeros(8, 2), k=8)

    @pytest.mark.parametrize("estimator", BOTH)
    def test_a_missing_key(self, estimator):
        with pytest.raises(KeyError, match="data_b"):
            estimator()(TensorDict({"data_a": torch.zeros(8, 2)}))


def test_repr():
    assert repr(CkaEstimator()) == (
        "CkaEstimator(in_keys=['data_a', 'data_b'], out_keys=['cka'], "
        "kernel='linear', eps=1e-12, debiased=False, bandwidth=1.0)"
    )
    assert repr(InformationImbalanceEstimator("u", "v", k=3)) == (
        "InformationImbalanceEstimator(in_keys=['u', 'v'], "
        f"out_keys=['{A_TO_B}', '{B_TO_A}'], p=2.0, k=3)"
    )


def test_both_are_public():
    assert {"CkaEstimator", "InformationImbalanceEstimator"} <= set(hooksim.__all__)

"""`hooksim.compare` from outside: what must come out, however the data comes in."""

import itertools
import weakref

import pytest
import torch
from torch import nn

import hooksim
from tests import datasets, reference


def mlp(seed: int = 0, width: int = 24) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(16, width), nn.ReLU(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 5)
    )


def same() -> nn.Sequential:
    """A model whose layer gives its input, bit for bit, whatever the batch."""
    return nn.Sequential(nn.Identity())


def samples(n: int, width: int = 16, seed: int = 1) -> torch.Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


def compare(a, b, loader, **options):
    return hooksim.compare(a, b, loader, progress=False, **options)


class TestAgainstTheReference:
    @pytest.mark.parametrize("block_size", [64, 200, "batch", "auto"])
    def test_every_cell(self, block_size):
        a, b, data = mlp(0), mlp(1), samples(200)
        result = compare(a, b, data.split(50), layers_a="*", block_size=block_size)
        sizes = result.metadata["blocks"]
        assert sum(sizes) == result.n_samples == 200
        with torch.no_grad():
            layers = [
                list(itertools.accumulate(model, lambda x, f: f(x), initial=data))[1:]
                for model in (a, b)
            ]
        for (i, x), (j, y) in itertools.product(*map(enumerate, layers)):
            blocks = list(zip(x.split(sizes), y.split(sizes), strict=True))
            cka = reference.block_cka(blocks)
            a_to_b, b_to_a = reference.block_information_imbalance(blocks)
            for key, expected in (
                ("cka", cka),
                ("information_imbalance_a_to_b", a_to_b),
                ("information_imbalance_b_to_a", b_to_a),
            ):
                got = result[key].values[i, j].item(), result[key].stderr[i, j].item()
                assert got == pytest.approx(tuple(expected), abs=1e-5), (key, i, j)

    @pytest.mark.parametrize("mode", ["blocks", "batch"])
    @pytest.mark.parametrize("name", datasets.CASES)
    def test_hard_data(self, name, mode):
        x, y = datasets.CASES[name]()
        n = len(x)
        batch, block_size = (11, max(8, n // 3)) if mode == "blocks" else (max(8, n // 3), "batch")
        loader = [
            hooksim.PairedBatch(part_x, part_y)
            for part_x, part_y in zip(x.split(batch), y.split(batch), strict=True)
        ]
        result = compare(same(), same(), loader, layers_a="0", block_size=block_size)
        sizes = result.metadata["blocks"]
        blocks = list(zip(x.split(sizes), y.split(sizes), strict=True))
        expected = [reference.block_cka(blocks), *reference.block_information_imbalance(blocks)]
        for key, estimate in zip(result, expected, strict=True):
            value = result[key].values.item()
            assert value == pytest.approx(estimate[0], abs=1e-4, nan_ok=True), key


class TestTheLoaderDoesNotMatter:
    def test_stub_with_bit_equal_activations(self):
        data = samples(203)
        n = 64
        results = [
            compare(same(), mlp(), loader, layers_a="0", layers_b=["0", "2"], block_size=n)
            for loader in (
                data.split(7),
                data.split(32),
                data.split(256),
                data.split(203),
                list(data.split(50)),
                (batch for batch in data.split(50)),
            )
        ]
        for result in results[1:]:
            assert result.metadata["blocks"] == results[0].metadata["blocks"]
            assert (result["cka"].values - results[0]["cka"].values).abs().max() <= 1e-6
            for key in ("information_imbalance_a_to_b", "information_imbalance_b_to_a"):
                assert (result[key].values - results[0][key].values).abs().max() <= 8 / n**2

    @pytest.mark.parametrize("batch", [7, 32, 256])
    def test_a_real_model(self, batch):
        data = samples(300)
        one = compare(mlp(0), mlp(1), [data], block_size=100)
        other = compare(mlp(0), mlp(1), data.split(batch), block_size=100)
        assert (one["cka"].values - other["cka"].values).abs().max() <= 1e-6
        for key in ("information_imbalance_a_to_b", "information_imbalance_b_to_a"):
            assert (one[key].values - other[key].values).abs().max() <= 2e-3

    @pytest.mark.parametrize("remainder", [0, 1, 2, 3])
    def test_self_comparison(self, remainder):
        data = samples(96 + remainder)
        result = compare(mlp(), mlp(), data.split(32), layers_a="*", block_size=32)
        blocks, n = result.metadata["blocks"], result.n_samples
        assert (result["cka"].values.diagonal() - 1).abs().max() <= 1e-6
        for k, key in ((1, "information_imbalance_a_to_b"), (1, "information_imbalance_b_to_a")):
            floor = torch.full((5,), (k + 1) * len(blocks) / n, dtype=torch.float64)
            torch.testing.assert_close(result[key].values.diagonal(), floor)

    def test_max_samples_cuts_the_last_batch(self):
        data = samples(100)
        cut = compare(mlp(0), mlp(1), data.split(32), max_samples=70)
        whole = compare(mlp(0), mlp(1), [data[:70]])
        assert cut.n_samples == whole.n_samples == 70
        torch.testing.assert_close(cut["cka"].values, whole["cka"].values)

    def test_loaders_without_a_length(self):
        class Endless(torch.utils.data.IterableDataset):
            def __iter__(self):
                return iter(samples(60))

        loader = torch.utils.data.DataLoader(Endless(), batch_size=20)
        one = compare(mlp(0), mlp(1), loader)
        other = compare(mlp(0), mlp(1), samples(60).view(3, 20, 16))
        assert torch.equal(one["cka"].values, other["cka"].values)

    def test_no_batch_is_kept(self):
        alive = []

        def batches():
            for batch in samples(80).split(10):
                batch = batch.clone()
                alive.append(weakref.ref(batch))
                yield batch
                del batch
                assert sum(each() is not None for each in alive) <= 3

        compare(mlp(0), mlp(1), batches(), block_size="batch")
        assert len(alive) == 8


class TestWhoIsCompared:
    def test_one_module_as_both_sides_runs_once(self):
        model, calls = mlp(), []
        model.register_forward_hook(lambda *_: calls.append(1))
        result = compare(model, model, samples(60).split(20), stop_early=False)
        assert len(calls) == 3
        copy = compare(model, mlp(), samples(60).split(20))
        for key in result:
            torch.testing.assert_close(result[key].values, copy[key].values)
            torch.testing.assert_close(result[key].stderr, copy[key].stderr)

    def test_one_module_with_two_views_runs_once(self):
        model, calls = mlp(), []
        model.register_forward_hook(lambda *_: calls.append(1))
        result = compare(
            model, model, samples(60).split(20), layers_a="0", layers_b=["2", "4"], stop_early=False
        )
        assert len(calls) == 3
        assert (result["cka"].layers_a, result["cka"].layers_b) == (["0"], ["2", "4"])
        copy = compare(model, mlp(), samples(60).split(20), layers_a="0", layers_b=["2", "4"])
        torch.testing.assert_close(result["cka"].values, copy["cka"].values)

    def test_one_module_on_two_inputs(self):
        model = mlp()
        first, second = samples(60, seed=1), samples(60, seed=2)
        loader = [
            hooksim.PairedBatch(*each)
            for each in zip(first.split(20), second.split(20), strict=True)
        ]
        result = compare(model, model, loader)
        assert result["cka"].values.abs().max() < 0.9

    @pytest.mark.parametrize("layers_b", [None, "2"])
    def test_one_module_on_pairs_of_one_input_runs_once(self, layers_b):
        model, calls = mlp(), []
        model.register_forward_hook(lambda *_: calls.append(1))
        pairs = [
            hooksim.PairedBatch(x, x, [f"{i}:{j}" for j in range(20)])
            for i, x in enumerate(samples(60).split(20))
        ]
        options = {"layers_b": layers_b, "stop_early": False}
        result = compare(model, model, pairs, **options)
        assert len(calls) == 3
        expected = compare(model, model, samples(60).split(20), **options)
        assert torch.equal(result["cka"].values, expected["cka"].values)
        pairs[2] = hooksim.PairedBatch(pairs[2].a, 2 * pairs[2].a)
        with pytest.raises(hooksim.ConfigError, match=r"loader: a PairedBatch .* runs once on it"):
            compare(model, model, pairs, **options)
        assert compare(model, mlp(), pairs, **options).n_samples == 60

    def test_same_name_is_the_diagonal_of_all(self):
        a, b, loader = mlp(0), mlp(1), samples(80).split(20)
        every = compare(a, b, loader, layers_a=["0", "2", "4"], layers_b=["4", "2"])
        same_name = compare(
            a, b, loader, layers_a=["0", "2", "4"], layers_b=["4", "2"], pairs="same_name"
        )
        assert same_name["cka"].layers_a == same_name["cka"].layers_b == ["2", "4"]
        for key in every:
            for part in ("values", "stderr"):
                got, whole = getattr(same_name[key], part), getattr(every[key], part)
                torch.testing.assert_close(got.diagonal(), torch.stack([whole[1, 1], whole[2, 0]]))
                assert got[0, 1].isnan() and got[1, 0].isnan()

    def test_same_name_with_one_module(self):
        model = mlp()
        result = compare(model, model, samples(80).split(20), pairs="same_name")
        assert (result["cka"].values.diagonal() - 1).abs().max() <= 1e-6

    def test_layers_of_b_follow_those_of_a_where_they_exist(self):
        result = compare(mlp(0), mlp(1), [samples(40)], layers_a=["2", "0"])
        assert result["cka"].layers_b == ["2", "0"]
        other = nn.Sequential(nn.Linear(16, 4))
        result = compare(mlp(0), other, [samples(40)], layers_a=["2", "4"])
        assert (result["cka"].layers_a, result["cka"].layers_b) == (["2", "4"], ["0"])

    def test_containers_share_their_last_childs_tensor(self):
        model = nn.Sequential(nn.Sequential(nn.Linear(16, 8), nn.ReLU()), nn.Linear(8, 3))
        result = compare(
            model, mlp(), [samples(60)], layers_a=["0", "0.1", "0.0", "1"], layers_b="*"
        )
        for key in result:
            assert torch.equal(result[key].values[0], result[key].values[1])
            assert torch.equal(result[key].stderr[0], result[key].stderr[1])
            assert not torch.equal(result[key].values[0], result[key].values[2])

    def test_several_measures_at_once(self):
        measures = [
            "cka",
            hooksim.CKA(debiased=False, key="biased"),
            {"name": "information_imbalance", "k": 3},
        ]
        result = compare(mlp(0), mlp(1), [samples(60)], measures=measures)
        assert list(result) == [
            "cka",
            "biased",
            "information_imbalance_a_to_b",
            "information_imbalance_b_to_a",
        ]
        alone = compare(mlp(0), mlp(1), [samples(60)], measures=measures[1])
        torch.testing.assert_close(
            alone["biased"].values, result["biased"].values, rtol=0, atol=1e-6
        )
        assert result.metadata["measures"][2]["k"] == 3

    def test_token_rows_count_sequences_in_the_error(self):
        embed = nn.Sequential(nn.Linear(6, 8))
        batch = torch.randn(30, 1, 6).expand(-1, 12, -1) + 0.01 * torch.randn(30, 12, 6)
        tokens = compare(embed, mlp_of(6), batch.split(10), rows="token", layers_b="0")
        means = compare(embed, mlp_of(6), batch.split(10), rows="mean", layers_b="0")
        assert (tokens.metadata["unit"], tokens.n_samples, tokens.metadata["n_rows"]) == (
            "token",
            30,
            360,
        )
        ratio = tokens["cka"].stderr / means["cka"].stderr
        assert (ratio > 0.7).all() and (ratio < 1.8).all()  # by tokens it would be 0.3


def mlp_of(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, 7), nn.Tanh())


class TestWarnings:
    def test_sorted_digits(self, caplog):
        load_digits = pytest.importorskip("sklearn.datasets").load_digits
        images, labels = load_digits(return_X_y=True)
        assert len(images) == 1797
        data = torch.tensor(images, dtype=torch.float32)
        order = torch.tensor(labels).argsort(stable=True)
        shuffled = torch.randperm(1797, generator=torch.Generator().manual_seed(0))
        model = nn.Sequential(nn.Linear(64, 32), nn.ReLU())
        for permutation, codes in ((order, ["order"]), (shuffled, [])):
            caplog.clear()
            result = compare(
                model, model, data[permutation].split(64), layers_a="*", block_size=256
            )
            assert [warning["code"] for warning in result.metadata["warnings"]] == codes
            assert len(
                [record for record in caplog.records if record.levelname == "WARNING"]
            ) == len(codes)

    def test_sorted_digits_in_batch_blocks(self):
        data = torch.cat([samples(40, seed=seed) + 3 * seed for seed in range(5)])
        result = compare(mlp(), mlp(), data.split(40), block_size="batch")
        assert [warning["code"] for warning in result.metadata["warnings"]] == ["order"]

    def test_tokens_of_a_sequence_are_no_order(self):
        embed = nn.Sequential(nn.Linear(6, 8))
        batch = torch.randn(60, 1, 6).expand(-1, 40, -1) + 0.1 * torch.randn(60, 40, 6)
        result = compare(embed, embed, batch.split(10), rows="token", block_size=200)
        assert result.metadata["warnings"] == []

    def test_data_that_is_nothing_but_order(self):
        data = torch.arange(6.0).repeat_interleave(20)[:, None].expand(-1, 16)
        result = compare(same(), mlp(), data.split(20), layers_a="0", layers_b="0", block_size=20)
        found = {warning["code"]: warning["text"] for warning in result.metadata["warnings"]}
        assert "inf times" in found["order"]
        assert "do not vary, so CKA is undefined" in found["constant_layer"]  # within a block

    def test_one_sample_that_rules(self):
        data = samples(1200)
        data[7] *= 300
        result = compare(same(), same(), data.split(100), layers_a="0")
        assert "ruling_sample" in [warning["code"] for warning in result.metadata["warnings"]]
        assert "one of 1,200 samples has a part in" in result.metadata["warnings"][0]["text"]

    def test_biased_values_of_few_samples(self):
        data = samples(150, width=16)
        biased = hooksim.CKA(debiased=False)
        [warning, _] = compare(same(), mlp(), [data], layers_a="0", measures=biased).metadata[
            "warnings"
        ]
        assert warning["code"] == "biased"
        assert "16 dimensions and 150 samples" in warning["text"]
        for measure, n in ((biased, 240), ("cka", 150)):
            result = compare(
                same(), same(), [samples(n)], layers_a="0", layers_b="0", measures=measure
            )
            assert result.metadata["warnings"] == []

    def test_one_of_few_samples_that_rules(self):
        data = samples(300)
        assert compare(same(), same(), [data], layers_a="0").metadata["warnings"] == []
        data[7] *= 300
        result = compare(same(), mlp(), [data], layers_a="0", layers_b="*")
        warnings = result.metadata["warnings"]
        assert [warning["code"] for warning in warnings] == ["ruling_sample"] * 2  # a side each
        assert "in 2 more layers" in warnings[1]["text"]

    def test_too_few_samples(self):
        result = compare(mlp(0), mlp(1), [samples(6)])
        assert result["cka"].stderr.isnan().all()
        assert not any(match.decided for match in result["cka"].best_match("a"))
        assert [warning["code"] for warning in result.metadata["warnings"]] == ["few_samples"]

    def test_wide_rows_become_batch_blocks(self):
        wide = torch.randn(12, 1).expand(12, 1 << 21)
        result = compare(same(), same(), wide.split(6), layers_a="0", measures="cka")
        assert result.metadata["blocks"] == [6, 6]
        assert [warning["code"] for warning in result.metadata["warnings"]] == ["batch_blocks"]


def test_metadata_says_how_it_came_about():
    result = compare(mlp(0), mlp(1), samples(90).split(30), rows=("auto", hooksim.Rows("flatten")))
    metadata = result.metadata
    assert metadata["versions"]["torch"] == torch.__version__
    assert (metadata["model_a"], metadata["model_b"]) == ("Sequential", "Sequential")
    assert metadata["layers_a"] == ["0", "2", "4"]
    assert (metadata["rows"]["a"]["policy"], metadata["rows"]["b"]["policy"]) == ("auto", "flatten")
    assert (metadata["blocks"], metadata["n_samples"], metadata["unit"]) == ([90], 90, "sample")
    assert metadata["seconds"] > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_models(dtype):
    data = samples(200)
    models = mlp(0), mlp(1)
    full = compare(*models, data.split(50), layers_a="*")
    half = compare(*(model.to(dtype) for model in models), data.to(dtype).split(50), layers_a="*")
    for key in full:
        assert half[key].values.isfinite().all() and half[key].stderr.isfinite().all()
    assert (half["cka"].values - full["cka"].values).abs().max() <= 5e-3


def test_autocast_and_low_precision_products_do_not_reach_the_grams():
    data = samples(200) + 3
    plain = compare(same(), same(), data.split(50), layers_a="0", measures="cka")
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with torch.autocast("cpu", torch.bfloat16):
            guarded = compare(same(), same(), data.split(50), layers_a="0", measures="cka")
            assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.equal(plain["cka"].values, guarded["cka"].values)

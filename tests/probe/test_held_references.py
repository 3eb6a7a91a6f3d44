"""References are recordings: one pass each, and no second model."""

import gc
import weakref

import pytest
import torch
from torch import nn

from hooksim.comparison import compare
from hooksim.errors import ConfigError
from hooksim.probe import Probe
from hooksim.recording import Recording, record
from tests.probe.probed import SAMPLES, Counting, assert_same, batches, moved, stack


class TestReferences:
    def test_each_measure_runs_each_sample_once(self):
        model, others = Counting(), {"one": Counting(), "two": Counting()}
        probe = Probe(batches(), reference={**others, "initial": model, "last": "previous"})
        assert [each.seen for each in (model, *others.values())] == [96, 96, 96]
        for step in (1, 2, 3):
            probe.measure(model, step)
        assert model.seen == 4 * 96
        assert [each.seen for each in others.values()] == [96, 96]

    def test_a_recording_stands_for_a_model(self, tmp_path):
        start, now = stack(), moved(stack())
        expected = Probe(batches(), reference=start).measure(now, 1)
        recording = record(start, batches(), path=tmp_path / "kept", progress=False)
        assert_same(Probe(batches(), reference=recording).measure(now, 1), expected)
        assert_same(Probe(batches(), reference=tmp_path / "kept").measure(now, 1), expected)

    def test_features_stand_for_a_model(self):
        features = Recording.from_tensors({"4": SAMPLES[:, :3], "raw": SAMPLES})
        probe = Probe(batches(), reference=features, measures="cka")
        assert probe.measure(stack(), 1)["cka"].layers_a == ["4", "raw"]
        assert list(probe.history[0][1]) == ["reference_cka_diagonal_mean"]

    def test_another_architecture_is_summed_up_by_its_closest_layers(self):
        probe = Probe(batches(), reference=Counting(), measures="cka")
        probe.measure(stack(), 1)
        assert list(probe.history[0][1]) == ["reference_cka_best_match_mean"]

    def test_the_first_measure_has_no_previous_one(self):
        model = stack()
        probe = Probe(batches(), reference="previous")
        assert probe.measure(model, 0) is None
        before = record(model, batches(), progress=False)
        result = probe.measure(moved(model), 10)
        assert_same(result, compare(before, model, batches(), progress=False))
        assert [step for step, _ in probe.history] == [0, 10]
        assert probe.history[0][1] == {}
        assert len(probe.seconds) == 2

    def test_several_by_name(self):
        model = stack()
        probe = Probe(batches(), reference={"initial": model, "last": "previous"})
        assert list(probe.measure(model, 0)) == ["initial"]
        results = probe.measure(moved(model), 1)
        assert list(results) == ["initial", "last"]
        assert_same(results["initial"], results["last"])
        before = record(model, batches(), progress=False)
        results = probe.measure(moved(model), 2)
        expected = compare(before, model, batches(), progress=False)
        assert_same(results["last"], expected)
        assert not torch.equal(results["initial"]["cka"].values, expected["cka"].values)

    def test_each_has_its_own_layers_where_only_equal_names_are_compared(self):
        other = nn.Sequential(nn.Linear(6, 3), nn.ReLU())
        features = Recording.from_tensors({"4": SAMPLES})
        probe = Probe(batches(), reference={"x": other, "y": features}, pairs="same_name")
        results = probe.measure(stack(), 1)
        assert [results[name]["cka"].layers_a for name in "xy"] == [["0"], ["4"]]

    def test_the_layers_of_the_model_hold_for_its_previous_measurement(self):
        given = {"raw": Recording.from_tensors({"raw": SAMPLES}), "last": "previous"}
        probe = Probe(batches(), reference=given, layers_a="raw", layers_b="4")
        probe.measure(stack(), 0)
        results = probe.measure(stack(), 1)
        assert results["raw"]["cka"].layers_a == ["raw"]
        assert results["last"]["cka"].layers_a == ["4"]

    def test_a_reference_is_replaced_where_a_run_goes_on(self, tmp_path):
        start, now = stack(), moved(stack())
        expected = Probe(batches(), reference=start).measure(now, 1)
        record(start, batches(), path=tmp_path / "kept", progress=False)
        probe = Probe(batches(), reference=now)
        probe.restore("reference", tmp_path / "kept")
        assert_same(probe.measure(now, 1), expected)
        with pytest.raises(
            ConfigError, match=r"no reference 'referenc'\. Close names: 'reference'"
        ):
            probe.restore("referenc", tmp_path / "kept")

    def test_the_previous_one_can_be_forgotten(self):
        probe = Probe(batches(), reference="previous")
        probe.measure(stack(), 0)
        probe.rewind(-1)
        assert probe.history == []
        assert probe.measure(stack(), 1) is None
        probe.rewind(1)
        assert probe.measure(stack(), 2) is not None


class TestNoSecondModel:
    def test_a_model_that_was_given_is_let_go(self):
        model = stack()
        gone = weakref.ref(model), weakref.ref(model[0].weight)
        probe = Probe(batches(), reference=model)
        del model
        gc.collect()
        assert [each() for each in gone] == [None, None]
        probe.measure(stack(), 1)

    def test_a_checkpoint_is_loaded_recorded_and_let_go(self, tmp_path):
        from transformers import ViTConfig, ViTModel

        size = {"image_size": 4, "patch_size": 2, "num_channels": 1, "num_hidden_layers": 2}
        size |= {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8}
        model = ViTModel(ViTConfig(**size)).eval()
        model.save_pretrained(tmp_path / "checkpoint-5")
        pictures = [{"pixel_values": torch.randn(32, 1, 4, 4)}]
        state = torch.random.get_rng_state()
        gc.collect()
        # By their types: isinstance asks some objects for their class, which makes them warn.
        before = [each for each in gc.get_objects() if type(each) is ViTModel]
        probe = Probe(pictures, reference=tmp_path / "checkpoint-5", measures="cka")
        # Loading makes a model with random weights first.
        assert torch.equal(state, torch.random.get_rng_state())
        gc.collect()
        after = [each for each in gc.get_objects() if type(each) is ViTModel]
        assert {id(each) for each in after} <= {id(each) for each in before}
        weight = model.layers[0].mlp.fc1.weight
        copies = [
            each
            for each in gc.get_objects()
            if type(each) in (torch.Tensor, nn.Parameter) and each is not weight
            if each.shape == weight.shape and torch.equal(each, weight)
        ]
        assert copies == []
        result = probe.measure(model, 1)
        assert result["cka"].values.diagonal().numpy() == pytest.approx(1)

    def test_a_measure_keeps_nothing_of_the_model(self):
        model = stack()
        probe = Probe(batches(), reference="previous")
        probe.measure(model, 0)
        rows = {each.untyped_storage().data_ptr() for each in probe.references["previous"].tensors}
        assert not rows & {each.untyped_storage().data_ptr() for each in model.parameters()}
        gone = weakref.ref(model)
        del model
        gc.collect()
        assert gone() is None

"""What a probe measures, keeps and refuses."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

import hooksim
from hooksim.comparison import compare
from hooksim.errors import AlignmentError, ConfigError
from hooksim.probe import Probe
from hooksim.recording import Recording, record
from tests.probe.probed import SAMPLES, Counting, assert_same, batches, in_bfloat16, moved, stack


class TestValues:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"block_size": 24},
            {"block_size": np.int64(24), "max_samples": np.int64(72)},
            {"block_size": "batch"},
            {"block_size": "all"},
            {"layers_a": ["0", "4"], "measures": "cka"},
            {"layers_a": "0", "layers_b": "4", "rows": ("flatten", "auto")},
            {"pairs": "same_name", "max_samples": 70},
            {"forward": lambda model, batch: model(2 * batch), "device": "cpu"},
        ],
    )
    def test_they_are_those_of_compare(self, options):
        start, now = stack(), moved(stack())
        probe = Probe(batches(), reference=start, **options)
        expected = compare(start, now, batches(), progress=False, **options)
        assert_same(probe.measure(now, 5), expected)

    def test_the_reference_is_what_the_model_was_when_the_probe_was_made(self):
        model = stack()
        probe = Probe(batches(), reference=model)
        assert probe.measure(model, 0)["cka"].values.diagonal().numpy() == pytest.approx(1)
        result = probe.measure(moved(model), 1)
        assert result["cka"].values.diagonal()[-1] < 0.99
        assert_same(result, compare(stack(), model, batches(), progress=False))

    def test_names_and_steps_are_in_the_result(self):
        probe = Probe(batches(), reference={"initial": stack()})
        result = probe.measure(stack(), 7)["initial"]
        assert result["cka"].label_a == "model A: initial"
        assert result["cka"].label_b == "model B: step 7"
        assert result.metadata["step"] == 7

    @pytest.mark.parametrize("around", [torch.enable_grad, torch.inference_mode])
    def test_they_do_not_depend_on_what_is_around_the_call(self, around):
        model = moved(stack())
        probe = Probe(batches(), reference=stack())
        expected = probe.measure(model, 0)
        with torch.autocast("cpu", torch.bfloat16), around():
            assert_same(probe.measure(model, 1), expected)
            inside = Probe(batches(), reference=stack())
        assert_same(inside.measure(model, 2), expected)

    def test_nor_on_the_mode_of_the_model(self):
        model = moved(stack())
        probe = Probe(batches(), reference=stack())
        assert_same(probe.measure(model.train(), 0), probe.measure(model.eval(), 1))

    def test_nor_on_accelerates_mixed_precision(self):
        model = moved(stack())
        probe = Probe(batches(), reference=stack())
        expected = probe.measure(model, 0)
        assert_same(probe.measure(in_bfloat16(model), 1), expected)

    def test_a_forward_ends_early_only_where_it_is_asked_for(self):
        class Last(nn.Module):
            ended = 0

            def forward(self, x):
                type(self).ended += 1
                return x

        model = nn.Sequential(stack(), Last())
        expected = Probe(batches(), reference=stack(), layers_b="0.0").measure(model, 1)
        assert model[1].ended == 3
        probe = Probe(batches(), reference=stack(), layers_b="0.0", stop_early=True)
        assert_same(probe.measure(model, 1), expected)
        assert model[1].ended == 3 + 1

    def test_a_compiled_model_is_looked_through(self):
        model = moved(stack())
        probe = Probe(batches(), reference=stack())
        expected = probe.measure(model, 0)
        assert_same(probe.measure(torch.compile(model, backend="eager"), 1), expected)


class TestHistory:
    def test_scalars_of_each_reference_and_matrix(self):
        model = stack()
        probe = Probe(batches(), reference={"initial": model, "last": "previous"})
        probe.measure(model, 0)
        probe.measure(moved(model), 3)
        [(_, first), (step, second)] = probe.history
        keys = ("cka", "information_imbalance_a_to_b", "information_imbalance_b_to_a")
        assert list(first) == [f"initial_{key}_diagonal_mean" for key in keys]
        assert list(second) == [
            f"{n}_{key}_diagonal_mean" for n in ("initial", "last") for key in keys
        ]
        assert step == 3
        assert first["initial_cka_diagonal_mean"] == pytest.approx(1)
        assert all(type(value) is float for value in second.values())

    def test_a_dead_layer_is_left_out(self):
        model = stack()
        probe = Probe(batches(), reference=model, measures="cka", layers_a=["0", "4"])
        with torch.no_grad():
            model[4].weight.zero_()
        result = probe.measure(model, 1)
        assert result["cka"].values.diagonal().isnan().tolist() == [False, True]
        assert probe.history[0][1]["reference_cka_diagonal_mean"] == pytest.approx(1)

    @pytest.mark.parametrize("step", [3, 5])
    def test_a_step_that_does_not_come_after_the_last_is_remarked(self, step):
        probe = Probe(batches(), reference=stack())
        assert probe.measure(stack(), 5).metadata["warnings"] == []
        result = probe.measure(stack(1), step)
        [warning] = result.metadata["warnings"]
        assert warning["code"] == "steps"
        said = "twice" if step == 5 else "after step 5"
        assert warning["text"].startswith(f"step {step} was measured {said}. A trajectory")
        assert "probe.rewind forgets the later ones" in warning["text"]
        assert [each for each, _ in probe.history] == [5, step]
        assert probe.trajectory().steps == sorted({5, step})
        assert_same(probe.trajectory().at(step), result)

    def test_a_run_that_goes_on_from_an_earlier_step(self):
        probe = Probe(batches(), reference=stack())
        for each in (0, 5, 10):
            probe.measure(stack(), each)
        probe.rewind(5)
        assert [each for each, _ in probe.history] == [0, 5]
        assert len(probe.seconds) == 2
        assert probe.measure(stack(), 8).metadata["warnings"] == []

    def test_what_came_after_the_first_of_a_step_is_forgotten(self):
        probe = Probe(batches(), reference={"initial": stack(), "last": "previous"})
        for each in (0, 40, 100, 40):
            probe.measure(stack(), each)
        probe.rewind(40)
        assert [each for each, _ in probe.history] == [0, 40]
        [warning] = probe.measure(stack(), 60)["initial"].metadata["warnings"]
        assert warning["text"].startswith("the probe was rewound to step 40, of which no recording")
        assert "not compared with 'last', the next one is" in warning["text"]
        assert probe.measure(stack(), 80)["last"].metadata["warnings"] == []
        probe.rewind(-1)
        assert probe.history == []
        assert probe.measure(stack(), 0)["initial"].metadata["warnings"] == []

    def test_what_a_probe_is_can_be_read(self):
        probe = Probe(batches(), reference={"initial": stack(), "last": "previous"}, measures="cka")
        lines = repr(probe).splitlines()
        assert lines[0] == "Probe: CKA (linear, debiased); 0 measured; compares with"
        assert lines[1].startswith("  initial: Recording of Sequential: ")
        assert lines[2] == "  last: the measurement before"
        probe.measure(stack(), 7)
        assert "; 1 measured, the last of step 7; compares with" in repr(probe)


class TestTrajectory:
    def test_the_comparisons_over_the_steps(self):
        model = stack()
        probe = Probe(batches(), reference={"initial": model, "last": "previous"})
        results = [probe.measure(moved(model), step) for step in (0, 4, 8)]
        initial, last = probe.trajectory("initial"), probe.trajectory("last")
        assert (initial.steps, last.steps) == ([0, 4, 8], [4, 8])
        for step, result in zip((0, 4, 8), results, strict=True):
            assert_same(initial.at(step), result["initial"])
        assert_same(last.at(8), results[2]["last"])

    @pytest.mark.parametrize("name", ["first", "last", "all"])
    def test_a_reference_may_be_called_as_a_step_is(self, name):
        probe = Probe(batches(), reference={name: stack()})
        for step in (1, 2):
            probe.measure(moved(stack()), step)
        trajectory = probe.trajectory()
        assert not trajectory.all_pairs
        assert trajectory.metadata["reference_step"] is None
        assert trajectory.metadata["reference"] == f"reference '{name}'"
        assert trajectory.metadata["reference_side"]["name"] == name

    def test_what_is_missing_is_said(self):
        probe = Probe(batches(), reference={"initial": stack(), "last": "previous"})
        with pytest.raises(ConfigError, match="there are several: 'initial', 'last'"):
            probe.trajectory()
        with pytest.raises(ConfigError, match=r"there is no 'inital'\. Close names: 'initial'"):
            probe.trajectory("inital")
        probe.measure(stack(), 1)
        with pytest.raises(ConfigError, match="nothing was compared with 'last' yet"):
            probe.trajectory("last")


class TestRefusals:
    def test_samples_in_another_order_say_what_to_do(self):
        class Shuffling:
            def __iter__(self):
                return iter(SAMPLES[torch.randperm(96)].split(32))

        probe = Probe(Shuffling(), reference=stack())
        model = stack(seed=1)
        with pytest.raises(AlignmentError) as error:
            probe.measure(model, 30)
        for words in (
            "step 30: ",
            "went into recording 'reference' with other values than into recording of step 30",
            "the same samples in the same order at each measure",
            "use shuffle=False and no random augmentation",
        ):
            assert words in str(error.value)

    def test_a_reference_of_other_samples(self):
        other = record(stack(), [SAMPLES[:40]], progress=False)
        with pytest.raises(AlignmentError, match="hold 40 and 96 samples"):
            Probe(batches(), reference=other).measure(stack(), 1)
        ids = Recording.from_tensors({"x": SAMPLES}, sample_ids=range(96))
        loader = [{"input": SAMPLES, "sample_ids": list(range(1, 97))}]
        probe = Probe(loader, reference=ids, forward=lambda model, batch: model(batch["input"]))
        with pytest.raises(AlignmentError, match="the sample ids of recording 'reference' and"):
            probe.measure(stack(), 1)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"measure": "cka"}, "no option 'measure'. Close names: 'measures'"),
            ({"loader": []}, "The options are those of hooksim.compare."),
            ({"pairs": "some"}, "pairs: expected 'all' or 'same_name'"),
            (
                {"on_nonfinite": "drop"},
                "Probe: on_nonfinite='drop' is for hooksim.compare. A probe",
            ),
        ],
    )
    def test_options(self, options, words):
        given = {key: value for key, value in options.items() if key != "loader"}
        if "loader" in options:
            given["chosen"] = []
        with pytest.raises(ConfigError) as error:
            Probe(batches(), reference=stack(), **given)
        assert words in str(error.value)

    def test_a_generator_and_a_shuffling_loader(self):
        with pytest.raises(ConfigError, match="can be read only once"):
            Probe((batch for batch in batches()), reference=stack())
        with pytest.raises(ConfigError, match="it shuffles"):
            Probe(DataLoader(SAMPLES, shuffle=True), reference=stack())

    def test_input_for_two_models(self):
        loader = [hooksim.PairedBatch(SAMPLES, SAMPLES)]
        with pytest.raises(ConfigError, match="Give the model its own loader"):
            Probe(loader, reference=stack())

    def test_what_is_measured(self):
        probe = Probe(batches(), reference=stack())
        with pytest.raises(ConfigError, match=r"model: expected a torch\.nn\.Module, got str"):
            probe.measure("model", 1)
        for step in (-1, 1.5, None, True):
            with pytest.raises(ConfigError, match="step: expected a whole number from 0"):
                probe.measure(stack(), step)


class TestPrecision:
    def test_a_model_that_became_bfloat16_is_one_line(self):
        probe = Probe(batches(), reference=stack())
        with pytest.raises(hooksim.HooksimError) as error:
            probe.measure(stack().bfloat16(), 3)
        assert str(error.value).startswith(
            "loader: the model cannot read its batches: its parameters are bfloat16, which the "
            "batches are not (mat1 and mat2 must have the same dtype"
        )
        assert "forward=lambda model, batch: model(batch.to(next(model.param" in str(error.value)
        assert probe.history == []

    def test_what_it_says_helps(self):
        def forward(model, batch):
            return model(batch.to(next(model.parameters()).dtype))

        model = stack()
        probe = Probe(batches(), reference=model, forward=forward, measures="cka")
        values = probe.measure(model.bfloat16(), 1)["cka"].values.diagonal()
        assert values.numpy() == pytest.approx(1, abs=1e-3)

    @pytest.mark.parametrize("forward", [None, lambda model, batch: model(batch.double())])
    def test_other_failures_stay_as_they_are(self, forward):
        class Broken(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = nn.Linear(6, 2).to(torch.float32 if forward is None else torch.float64)

            def forward(self, x):
                raise RuntimeError("no luck")

        recorded = Probe(batches(), reference=stack()).references["reference"]
        probe = Probe(batches(), reference=recorded, forward=forward)
        with pytest.raises(RuntimeError, match="no luck"):
            probe.measure(Broken(), 1)


class FullyShardedDataParallel(Counting):
    """A model that looks like a sharded one, of which every process must run the forward."""


def test_other_processes_take_part_only_where_parameters_are_sharded():
    probe = Probe(batches(), reference=stack())
    plain, sharded = Counting(), FullyShardedDataParallel()
    probe.follow(plain)
    probe.follow(sharded)
    assert (plain.seen, sharded.seen) == (0, 96)
    assert probe.history == []


def test_a_reference_that_moves_is_called_so():
    """By its name alone its curves would read as if it stood still."""
    model, loader = torch.nn.Linear(3, 2), [torch.randn(20, 3)]
    names = {"initial": model, "before": "previous"}
    probe = hooksim.Probe(loader, reference=names, layers_a="Linear")
    for step in (1, 2, 3):
        probe.measure(model, step)
    moving = probe.trajectory("before")
    assert "against before, the measurement before each step" in str(moving)
    figure, _ = moving.plot("cka")
    words = " ".join(" ".join(text.get_text() for text in figure.texts).split())
    assert "Each layer of the measurement before each step with the layer of the same name" in words
    assert str(probe.trajectory("initial")).splitlines()[0].endswith("against initial")

"""What a run that goes on keeps, refuses and says."""

import pytest
import torch

from hooksim.callbacks import load_run
from hooksim.callbacks.watch import Watch
from hooksim.errors import AlignmentError, ConfigError
from hooksim.probe import Probe
from hooksim.probe.references import name_references
from tests.callbacks.test_run_terms import BATCHES, files, model, watch


def both(every=1, batches=BATCHES) -> Watch:
    probe = Probe(batches, reference={"initial": model(), "last": "previous"}, measures="cka")
    return Watch(probe, every, pictures=False)


def run(folder, steps, **options) -> Watch:
    """Measured at each step, with a checkpoint after each second one."""
    found = both()
    found.begin(folder, 0, writes=True)
    for step in steps:
        found.measure(model(), step, None)
        if step % 2 == 0:
            found.saved(step, **options)
    return found


def test_any_checkpoint_may_be_gone_on_from(tmp_path):
    run(tmp_path, range(1, 9))
    for step in (6, 4):
        again = both()
        assert again.begin(tmp_path, step, writes=True) == []
        again.measure(model(), step + 1, None)
        assert "last_cka_diagonal_mean" in again.lines[-1]["scalars"]


def test_what_belongs_to_a_checkpoint_that_is_gone_is_not_kept(tmp_path):
    run(tmp_path, range(1, 9), existing=[2])
    kept = {each.name for each in (tmp_path / "hooksim" / "reference-last").iterdir()}
    assert kept == {"step-2", "step-6", "step-8"}


def test_other_samples_are_refused_before_anything_is_changed(tmp_path):
    run(tmp_path, range(1, 5))
    before = files(tmp_path)
    for batches, words in (([torch.randn(48, 6)], "other values"), ([BATCHES[0][:40]], "40 samp")):
        with pytest.raises(
            AlignmentError, match="'initial': the run was begun with other samp"
        ) as e:
            both(batches=batches).begin(tmp_path, 2, writes=True)
        assert words in str(e.value)
        assert files(tmp_path) == before


def test_a_new_run_forgets_step_0_too(tmp_path):
    found = run(tmp_path, [0, 1])
    found.begin(tmp_path, 0, writes=True)
    assert found.probe.history == []
    assert "last" not in found.probe.references


def test_another_interval_is_said_where_it_matters(tmp_path):
    run(tmp_path, range(1, 5))
    [told] = both(every=2).begin(tmp_path, 4, writes=True)
    assert "begun with every=1 and goes on with every=2, so reference 'last' is another" in told


def test_a_name_that_begins_another_one_is_not_taken_for_it(tmp_path):
    names = {"last": "previous", "last_good": model()}
    found, _ = watch(tmp_path, reference=names)
    found.measure(model(), 10, None)
    assert load_run(tmp_path / "hooksim", "last").metadata["warnings"] == []


def test_measures_in_another_order_go_on(tmp_path):
    watch(tmp_path, measures=["cka", "information_imbalance"])
    watch(tmp_path, 5, measures=["information_imbalance", "cka"])
    assert load_run(tmp_path / "hooksim").steps == [5, 10]


def test_layers_that_are_named_twice_go_on(tmp_path):
    watch(tmp_path, layers_a=["0", "2"])
    watch(tmp_path, 5, layers_a=["0", "2"], layers_b=["0", "2"])
    assert load_run(tmp_path / "hooksim").steps == [5, 10]


def test_names_that_would_share_a_folder_are_refused():
    with pytest.raises(ConfigError, match="'Last' and 'last' differ in capitals only"):
        name_references({"Last": model(), "last": "previous"})
    with pytest.raises(ConfigError, match=r"'last\.' cannot be the name of a folder everywhere"):
        name_references({"last.": model()})

"""A run goes on only with what it was begun with, and a new one leaves no reference of the last."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from hooksim.callbacks import load_run
from hooksim.callbacks.watch import Watch
from hooksim.errors import ConfigError, HooksimError
from hooksim.measures import cka
from hooksim.probe import Probe
from hooksim.recording import Recording

BATCHES = [torch.randn(48, 6, generator=torch.Generator().manual_seed(0))]


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5))


def watch(folder: Path, step: int = 0, **options: Any) -> tuple[Watch, list[str]]:
    """A run that begins, or goes on from a step, with a measurement five steps later."""
    made = model()
    given = options.pop("reference", "one")
    names = {"initial": made, "last": "previous"}
    reference = names if given == "both" else made if given == "one" else given
    found = Watch(Probe(BATCHES, reference=reference, **options), 1, pictures=False)
    told = found.begin(folder, step, writes=True)
    found.measure(made, step + 5, None)
    return found, told


def files(folder: Path) -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


BEGUN = {"measures": "cka", "rows": "auto", "block_size": 24, "layers_a": "0"}
OTHERS = {
    "measures": (
        {"measures": ["cka", "information_imbalance"]},
        "measures=['cka']; the probe has measures=['cka', 'information_imbalance'].",
    ),
    "an option of a measure": (
        {"measures": cka.CKA(debiased=False)},
        "measures={'debiased': True}; the probe has measures={'debiased': False}.",
    ),
    "rows": ({"rows": "flatten"}, "rows={'policy': 'auto'}; the probe has rows={'policy': 'flatt"),
    "rows of one side": (
        {"rows": ("auto", "flatten")},
        "rows={'policy': 'auto'}; the probe has rows={'policy': 'flatten'}.",
    ),
    "layers": ({"layers_a": ["0", "2"]}, "layers_a=['0']; the probe has layers_a=['0', '2']."),
    "layers of the model": ({"layers_b": "2"}, "layers_b=None; the probe has layers_b=['2']."),
    "blocks": ({"block_size": 16}, "block_size=24; the probe has block_size=16."),
    "pairs": ({"pairs": "same_name"}, "pairs='all'; the probe has pairs='same_name'."),
    "samples": ({"max_samples": 40}, "max_samples=None; the probe has max_samples=40."),
    "two of them": (
        {"block_size": "batch", "pairs": "same_name"},
        "block_size=24, pairs='all'; the probe has block_size='batch', pairs='same_name'.",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_run_that_would_go_on_with_something_else_is_refused(name, tmp_path):
    watch(tmp_path, **BEGUN)
    before = files(tmp_path)
    changed, words = OTHERS[name]
    with pytest.raises(ConfigError) as error:
        watch(tmp_path, 5, **{**BEGUN, **changed})
    start = f"'{tmp_path}/hooksim': this run was begun with {words}"
    assert str(error.value).startswith(start)
    assert str(error.value).endswith("Use the same, or another output_dir.")
    assert files(tmp_path) == before


def test_the_same_in_other_words_goes_on(tmp_path):
    watch(tmp_path, **BEGUN)
    same = {"measures": [cka.CKA()], "rows": ("auto", "auto"), "layers_a": ["0"], "block_size": 24}
    watch(tmp_path, 5, **same)
    assert load_run(tmp_path / "hooksim").steps == [5, 10]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"start": "previous"}, "references=['initial', 'last']; the probe has references=['sta"),
        ("one", "references=['initial', 'last']; the probe has references=['reference']. A ref"),
    ],
)
def test_another_name_for_a_reference_is_refused(names, words, tmp_path):
    watch(tmp_path, reference="both")
    with pytest.raises(ConfigError) as error:
        watch(tmp_path, 5, reference=names)
    assert words in str(error.value)
    assert "known by its name: under another one its curves would begin anew" in str(error.value)


def test_another_kind_of_reference_is_refused(tmp_path):
    watch(tmp_path, reference="both")
    with pytest.raises(ConfigError, match=r"references=\{'last': 'previous'\}; the probe has refe"):
        watch(tmp_path, 5, reference={"initial": model(), "last": model()})


def test_another_folder_takes_any(tmp_path):
    watch(tmp_path / "one", **BEGUN)
    watch(tmp_path / "two", 5, **{**BEGUN, "block_size": 16})
    with pytest.raises(ConfigError, match="this run was begun with block_size=16"):
        watch(tmp_path / "two", 10, **BEGUN)


@pytest.mark.parametrize("text", ["{", "[]", '{"references": 3}'])
def test_a_file_that_is_damaged_is_said(text, tmp_path):
    watch(tmp_path, **BEGUN)
    (tmp_path / "hooksim" / "run.json").write_text(text)
    with pytest.raises(HooksimError, match=r"run\.json' does not say what the run was begun with"):
        watch(tmp_path, 5, **BEGUN)


def test_a_new_run_begins_with_whatever_it_likes(tmp_path):
    watch(tmp_path, reference="both")
    watch(tmp_path, **BEGUN)
    written = json.loads((tmp_path / "hooksim" / "run.json").read_text())
    assert written["references"] == {"reference": "fixed"}
    assert written["block_size"] == 24


class TestReferencesOfAnEarlierRun:
    def test_they_go(self, tmp_path):
        watch(tmp_path, reference="both")
        _, told = watch(tmp_path, **BEGUN)
        found = {each.name for each in (tmp_path / "hooksim").iterdir() if each.is_dir()}
        assert found == {"step-5", "reference-reference"}
        assert len(told) == 1  # the results, as ever

    def test_a_name_may_be_that_of_another_kind(self, tmp_path):
        watch(tmp_path, reference="both")
        watch(tmp_path, reference={"initial": "previous", "last": model()})
        folder = tmp_path / "hooksim"
        assert Recording.load(folder / "reference-last").layers == ["0", "2"]
        assert [each.name for each in (folder / "reference-initial").iterdir()] == ["step-5"]

    def test_one_of_them_may_be_that_of_the_new_run(self, tmp_path):
        watch(tmp_path, reference="both")
        old = tmp_path / "hooksim" / "reference-initial"
        rows = Recording.load(old)["0"].clone()
        watch(tmp_path, reference={"start": Recording.load(old)})
        assert not old.exists()
        assert torch.equal(Recording.load(tmp_path / "hooksim" / "reference-start")["0"], rows)

    @pytest.mark.parametrize("place", ["reference-initial", "reference-last/step-5", "reference-x"])
    def test_what_somebody_else_put_there_stays_and_is_said(self, place, tmp_path):
        watch(tmp_path, reference="both")
        mine = tmp_path / "hooksim" / place / "mine.txt"
        mine.parent.mkdir(exist_ok=True)
        mine.write_text("notes")
        _, told = watch(tmp_path, reference="one")
        assert mine.read_text() == "notes"
        assert f"{place.partition('/')[0]}' stays, since it holds more than recordings" in told[-1]
        assert load_run(tmp_path / "hooksim").metadata["reference"] == "reference"

"""`hooksim compare`, from the file to the result, and everything that stops it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import hooksim
from hooksim import Comparison
from hooksim.cli.main import main
from hooksim.cli.places import check_creatable


def compare(*words):
    """The command with one measure: most of a run's time goes into the pictures of the others."""
    return main(["compare", "c.yaml", "--set=measures=cka", *words])


def test_the_result_is_that_of_the_library(folder, capsys, monkeypatch):
    assert main(["compare", "c.yaml"]) == 0
    out, error = capsys.readouterr()
    assert out == "result\n"
    assert "cka: 2 x 2 (A x B), n = 40" in error
    monkeypatch.syspath_prepend(folder)
    from small_models import perceptron

    points = torch.tensor(np.load("points.npz")["points"], dtype=torch.float32)
    mine = Comparison.load("result")
    theirs = hooksim.compare(perceptron(0), perceptron(1), points.split(16))
    for key in theirs.keys():  # noqa: SIM118 (a Comparison is no dict)
        torch.testing.assert_close(mine[key].values, theirs[key].values, rtol=0, atol=1e-12)
    assert mine.metadata["config"]["data"]["path"] == "points.npz"
    assert mine.n_samples == 40


def test_options_reach_the_library(folder):
    changes = ["measures=[{name: cka, debiased: false}]", "rows=flatten", "max_samples=20"]
    changes += ["layers_a='0'", "layers_b=['0', '2']", "block_size=10"]
    assert compare(*(f"--set={change}" for change in changes)) == 0
    result = Comparison.load("result")
    assert result.keys() == ["cka"]
    assert (result["cka"].layers_a, result["cka"].layers_b) == (["0"], ["0", "2"])
    assert result.metadata["blocks"] == [10, 10]
    assert result.metadata["config"]["max_samples"] == 20


def test_equal_specs_are_one_model(folder, capsys):
    assert compare("--set", "model_b.kwargs.seed=0") == 0
    diagonal = Comparison.load("result")["cka"].values.diagonal()
    torch.testing.assert_close(diagonal, torch.ones(2, dtype=torch.float64))


def test_a_forward_of_one_s_own(folder):
    (folder / "pairs.py").write_text(
        "import torch\n\n\ndef make():\n    torch.manual_seed(0)\n"
        "    return [(torch.zeros(8, 4), torch.randn(8, 4)) for _ in range(4)]\n"
    )
    data = "data={kind: python, factory: 'pairs:make'}"
    forward = "forward=small_models:second_element"
    assert compare("--set", data, "--set", forward) == 0
    assert Comparison.load("result")["cka"].values.isfinite().all()
    assert compare("--set", data, "--out", "without") == 0
    assert Comparison.load("without")["cka"].values.isnan().all()


def test_json(folder, capsys):
    assert compare("--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["path"] == "result"
    assert content["n_samples"] == 40
    matrix = content["matrices"]["cka"]
    assert matrix["values"] == Comparison.load("result")["cka"].values.tolist()
    assert matrix["layers_a"] == ["0", "2"]


def test_undefined_values_are_null_in_json(folder, capsys):
    np.savez("points.npz", points=np.ones((40, 4)))
    # Batches of one size: a model may round otherwise in a smaller one, and so not be constant.
    assert compare("--json", "--set=data.batch_size=20") == 0
    values = json.loads(capsys.readouterr().out)["matrices"]["cka"]["values"]
    assert values == [[None, None], [None, None]]


def test_notes_of_models_and_data_are_in_the_result(folder, capsys):
    from small_models_with_state import save_more

    save_more("b.safetensors")
    assert compare("--set", "model_b.weights=b.safetensors") == 0
    notes = Comparison.load("result").metadata["notes"]
    assert notes[-1]["code"] == "unexpected_weights"
    assert "model B: 'b.safetensors' has 1 parameter ('more')" in notes[-1]["text"]
    assert "model B: 'b.safetensors' has 1 parameter ('more')" in capsys.readouterr().err


@pytest.fixture(autouse=True)
def _state(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    (folder / "small_models_with_state.py").write_text(
        "import torch\nfrom safetensors.torch import save_file\nfrom small_models import *\n\n\n"
        "def save_more(path):\n"
        "    save_file({**perceptron(1).state_dict(), 'more': torch.ones(1)}, path)\n"
    )


class TestOutput:
    def test_an_existing_result_is_refused_before_any_work(self, folder, capsys):
        assert compare() == 0
        capsys.readouterr()
        broken = ["--set", "model_a.factory=small_models:gone"]  # would be the next complaint
        assert compare(*broken) == 2
        assert capsys.readouterr() == (
            "",
            "c.yaml: output: 'result' already holds a result. Choose another folder, or give "
            "--overwrite to replace it.\n",
        )

    def test_overwrite_and_out(self, folder, capsys):
        assert compare() == 0
        assert compare("--overwrite", "--set", "max_samples=20") == 0
        assert Comparison.load("result").n_samples == 20
        assert compare("--out", "elsewhere/deep") == 0
        assert Comparison.load("elsewhere/deep").n_samples == 40

    @pytest.mark.parametrize("flags", [[], ["--overwrite"]])
    def test_what_is_no_result_stays(self, folder, capsys, flags):
        (folder / "result").mkdir()
        (folder / "result" / "thesis.txt").write_text("years of work")
        assert compare(*flags) == 2
        assert capsys.readouterr().err.startswith("c.yaml: output: 'result' ")
        assert (folder / "result" / "thesis.txt").read_text() == "years of work"

    def test_a_result_with_other_files_is_refused_before_any_work(self, folder, capsys):
        assert compare() == 0
        (folder / "result" / "thesis.txt").write_text("years of work")
        capsys.readouterr()
        broken = ["--set", "model_a.factory=small_models:gone"]
        assert compare("--overwrite", *broken) == 2
        assert "files that are not part of the result ('thesis.txt')" in capsys.readouterr().err

    def test_a_file_in_the_way(self, folder, capsys):
        (folder / "result").write_text("")
        assert compare("--overwrite") == 2
        words = "is a file: a folder is needed. Choose another name.\n"
        assert capsys.readouterr().err == f"c.yaml: output: 'result' {words}"
        assert compare("--out", "c.yaml") == 2
        assert capsys.readouterr().err == f"--out: 'c.yaml' {words}"

    @pytest.mark.parametrize("place", ["/proc/result", "points.npz/result"])
    def test_a_place_where_nothing_can_be_written_is_refused_before_any_work(
        self, folder, capsys, place
    ):
        if place.startswith("/proc") and not Path("/proc/self").exists():
            pytest.skip("no such file system here")
        broken = ["--set", "model_a.factory=small_models:gone"]
        assert compare("--out", place, *broken) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"--out: '{place}' cannot be created: nothing can be written in ")
        assert ".tmp" not in error

    def test_nothing_is_left_by_trying_out_a_place(self, folder):
        before = set(folder.iterdir())
        check_creatable(folder / "deep" / "result", "--out")
        assert set(folder.iterdir()) == before

    def test_no_output_at_all(self, folder, capsys):
        assert compare("--set", "output=null") == 2
        line = "c.yaml: output: missing; give it in the file or as --out\n"
        assert capsys.readouterr().err == line


class TestDryRun:
    def test_tables_and_no_result(self, folder, capsys):
        assert compare("--dry-run") == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "model A (Sequential), 2 layers"
        assert lines[2].split() == ["0", "Linear", "16", "x", "6", "6", "24,000"]
        assert lines[-2:] == [
            "40 samples in 3 batches; first batch: 16 samples, 16 rows; 72 bytes a row of all",
            "layers; one block of 40, at most 0.0 MiB of rows held",
        ]
        assert not (folder / "result").exists()

    def test_it_asks_for_one_batch(self, folder, capsys):
        data = "data={kind: python, factory: 'small_models:batches', kwargs: {count: 1, error: x}}"
        assert compare("--dry-run", "--set", data) == 0
        last = capsys.readouterr().out.split("\n\n")[-1].replace("\n", " ")
        assert last.startswith("an unknown number of samples in an unknown number of batches; ")
        assert last.endswith("; blocks of 2,048 rows, at most 0.3 MiB of rows held ")
        assert compare("--set", data) == 1

    def test_a_block_size_beyond_the_samples_is_said(self, folder, capsys):
        assert compare("--dry-run", "--set", "block_size=10000") == 0
        out = capsys.readouterr().out.replace("\n", " ")
        assert "; one block of 40 (fewer than block_size, 10,000), at most 0.0 MiB" in out
        assert compare("--set", "block_size=10000") == 0
        err = capsys.readouterr().err.replace("\n  ", " ")
        assert "n = 40 in one block (fewer than block_size, 10,000), " in err

    def test_block_size(self, folder, capsys):
        assert compare("--dry-run", "--set", "block_size=batch") == 0
        assert capsys.readouterr().out.endswith("; one block a batch\n")
        assert compare("--dry-run", "--set", "block_size=10", "--set", "max_samples=35") == 0
        assert "35 samples in 3 batches; " in (out := capsys.readouterr().out)
        assert "; 4 blocks of 7 to 10, at most 0.0 MiB of rows held" in out

    def test_json(self, folder, capsys):
        assert compare("--dry-run", "--json", "--set", "layers_b='0'") == 0
        content = json.loads(capsys.readouterr().out)
        assert content["block_size"] == 2048
        assert (content["samples"], content["blocks"]) == (40, [40])
        assert content["row_bytes"] == 4 * (6 + 3 + 6)
        assert [layer["name"] for layer in content["sides"][1]["layers"]] == ["0"]

    def test_an_existing_result_is_no_obstacle(self, folder, capsys):
        assert compare() == 0
        assert compare("--dry-run") == 0


@pytest.mark.parametrize(
    ("change", "code", "line"),
    [
        ("output.x=1", 2, "--set 'output.x=1': output is 'result', not a mapping or list"),
        ("dta=1", 2, "c.yaml: dta: unknown key, did you mean 'data'?"),
        ("data.path=no.npz", 2, "c.yaml: data.path: no file 'no.npz' in "),
        ("data={kind: text, path: t.txt}", 2, "c.yaml: data.path: cannot read 't.txt': No such"),
        ("model_a.factory=small_model:perceptron", 2, "c.yaml: model_a.factory: no module 'small_"),
        ("model_a.factory=small_models:perception", 2, "c.yaml: model_a.factory: module 'small_mo"),
        ("model_a.factory=small_models:number", 2, "c.yaml: model_a.kwargs: 'small_models:number'"),
        ("model_a.kwargs={}", 2, "c.yaml: model_a.kwargs: 'small_models:perceptron' cannot be"),
        ("model_b.weights=no.pt", 2, "c.yaml: model_b.weights: no file 'no.pt' in "),
        ("model_b={kind: transformers, path: ./no/run}", 2, "c.yaml: model_b.path: no folder "),
        ("forward=small_models:frward", 2, "c.yaml: forward.factory: module 'small_models' has no"),
        ("layers_a=layerx.*", 2, "c.yaml: layers_a: no layer of model A (Sequential) matches 'layerx.*'. `hooksim layers c.yaml` shows all."),  # noqa: E501
        ("layers_b=['0', x]", 2, "c.yaml: layers_b: no layer of model B (Sequential) matches 'x'."),
        ("device=nonsense", 2, "c.yaml: device: expected a name such as 'cpu' or 'cuda:0'"),
        ("device=cuda:77", 2, "c.yaml: device: 'cuda:77' cannot be used here: "),
        ("measures=[cka, cka]", 2, "c.yaml: measures: two of them would write 'cka'."),
        ("block_size=3", 2, "c.yaml: block_size: CKA (linear, debiased) needs at least 4 samples"),
        ("max_samples=3", 1, "NotEnoughSamplesError: the data has 3 rows; "),
    ],
)  # fmt: skip
def test_one_line_for_what_is_wrong(folder, capsys, change, code, line):
    assert compare("--set", change) == code
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith(line)
    assert error.count("\n") == 1
    assert not (folder / "result").exists()


def test_a_factory_that_raises_is_told_by_its_key(folder, capsys):
    (folder / "broken_models.py").write_text("def broken():\n    raise ValueError('no disk')\n")
    for key in ("model_b", "data"):
        change = f"{key}={{kind: python, factory: 'broken_models:broken'}}"
        assert compare("--set", change) == 1
        line = f"ValueError: no disk; c.yaml: {key} (-v shows where)\n"
        assert capsys.readouterr().err == line


def test_rows_that_are_no_numbers_can_be_dropped(folder, capsys):
    points = np.ones((40, 4))
    points[7] = np.nan
    np.savez("points.npz", points=points)
    assert compare() == 1
    error = capsys.readouterr().err
    assert error.endswith(" on_nonfinite: drop leaves them out and counts them.\n")


def test_missing_weights(folder, capsys):
    from safetensors.torch import save_file

    save_file({"0.weight": torch.zeros(6, 4)}, "b.safetensors")
    assert compare("--set", "model_b.weights=b.safetensors") == 1
    line = "MissingWeightsError: c.yaml: model_b.allow_missing: 'b.safetensors' has no weights for "
    assert capsys.readouterr().err.startswith(line)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (
            "interrupt",
            130,
            "result: the run is kept there; --resume goes on with it\ninterrupted\n",
        ),
        (
            "other",
            1,
            "RuntimeError: the disk is gone; in the loader, batch 3 (first sample 48) (-v shows "
            "where)\n",
        ),
    ],
)
def test_data_that_fails_half_way(folder, capsys, error, code, line):
    kwargs = f"{{count: 3, error: {error}}}"
    data = f"data={{kind: python, factory: 'small_models:batches', kwargs: {kwargs}}}"
    assert compare("--set", data) == code
    assert capsys.readouterr().err == line
    left = ["result", "result/unfinished", "result/unfinished/process-0.safetensors"]
    found = sorted(path.as_posix() for path in Path().rglob("*") if "result" in path.parts)
    assert found == (left if error == "interrupt" else [])


def test_a_warning_is_said_once(folder, capsys):
    points = np.random.default_rng(0).normal(size=(40, 4)) + np.arange(40)[:, None]
    np.savez("points.npz", points=points)
    assert compare("--set", "block_size=10") == 0
    [warning] = Comparison.load("result").metadata["warnings"]
    error = capsys.readouterr().err
    assert error.count(warning["text"]) == 1
    assert f"warning: {warning['text']}\n" in error


def test_verbose_before_the_command(folder, capsys):
    broken = ["--set", "model_a.factory=small_models:gone"]
    assert main(["-v", "compare", "c.yaml", *broken]) == 2
    assert capsys.readouterr().err.startswith("Traceback")
    assert main(["compare", "c.yaml", *broken]) == 2
    assert not capsys.readouterr().err.startswith("Traceback")


def test_models_are_named_in_the_result(folder):
    assert compare() == 0
    metadata = Comparison.load("result").metadata
    names = "small_models:perceptron (seed=0)", "small_models:perceptron (seed=1)"
    assert (metadata["name_a"], metadata["name_b"]) == names


def test_a_factory_that_needs_what_is_not_there(folder, capsys):
    (folder / "needy.py").write_text("import nowhere_to_be_found\n")
    change = "model_b={kind: python, factory: 'needy:make'}"
    assert compare("--set", change, "--set", "data.path=no.npz") == 2
    words = "'needy:make' needs the module 'nowhere_to_be_found', which is not installed"
    assert capsys.readouterr().err == f"c.yaml: model_b.factory: {words}\n"


def test_weights_of_another_shape_are_those_of_a_model(folder, capsys):
    from small_models import perceptron

    torch.save(perceptron(0, width=7).state_dict(), "w.pt")
    assert compare("--set", "model_a.weights=w.pt") == 1
    line = "MissingWeightsError: c.yaml: model_a: 'w.pt' has 3 parameters of Sequential in another"
    assert capsys.readouterr().err.startswith(line)

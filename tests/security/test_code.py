"""Nothing that is read may run code, but for what the user has named in the config."""

import ast
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from hooksim.cli.main import main
from hooksim.errors import HooksimError
from hooksim.loading import load_model
from hooksim.results import Comparison
from tests.bad_inputs.folder import (
    Payload,
    make_checkpoint,
    malicious_pickle,
    malicious_weights,
    remote_code,
    write,
)

PACKAGE = Path(__file__).parents[2] / "hooksim"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_payload_would_run(folder: Path) -> None:
    """Unpickled, it does what the tests below look for."""
    malicious_pickle("w.pt")
    pickle.loads(Path("w.pt").read_bytes())
    assert Path("was-run").exists()


@pytest.mark.parametrize("make", [malicious_pickle, malicious_weights])
@pytest.mark.parametrize("name", ["w.pt", "w.bin", "w.safetensors", "w"])
def test_weights_do_not_run(folder: Path, make: object, name: str) -> None:
    make(name)  # type: ignore[operator]
    with pytest.raises(HooksimError, match=f"'{name}'"):
        load_model({"kind": "python", "factory": "torch.nn:ReLU", "weights": name})
    assert not Path("was-run").exists()


def test_weights_of_a_checkpoint_do_not_run(folder: Path) -> None:
    make_checkpoint(folder / "bert")
    (folder / "bert" / "model.safetensors").unlink()
    malicious_weights("bert/pytorch_model.bin")
    with pytest.raises(HooksimError, match="'bert"):
        load_model("bert")
    assert not Path("was-run").exists()


@pytest.mark.parametrize("name", ["points.npz", "points.npy"])
def test_arrays_do_not_run(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    save = np.savez if name.endswith("z") else np.save
    save(name, np.array([Payload()], dtype=object))  # type: ignore[operator]
    side = f"{{kind: features, path: {name}}}"
    write("c.yaml", f"model_a: {side}\nmodel_b: {side}\noutput: r\n")
    assert main(["compare", "c.yaml"]) == 2
    assert not Path("was-run").exists()
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "tag", ["object/apply:os.system", "object/new:os.system", "name:os.system"]
)
@pytest.mark.parametrize("where", ["file", "--set"])
def test_yaml_does_not_run(folder: Path, tag: str, where: str) -> None:
    value = f'!!python/{tag} ["touch was-run"]' if "object" in tag else f"!!python/{tag}"
    write("c.yaml", f"model_a: {value}\n" if where == "file" else "model_a: x\n")
    words = [] if where == "file" else ["--set", f"model_b={value}"]
    assert main(["compare", "c.yaml", *words]) == 2
    assert not Path("was-run").exists()


CONFIG = """\
model_a: {{kind: transformers, path: theirs{more}}}
model_b: {{kind: features, path: points.npz}}
data: {{kind: npz, path: points.npz}}
output: result
progress: false
"""


def test_code_of_a_checkpoint_runs_only_where_the_config_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hooksim.results.files._write_pictures", lambda *_: None)
    (folder / "theirs").mkdir()
    remote_code("theirs")
    torch.manual_seed(0)
    np.savez("points.npz", points=np.random.default_rng(0).normal(size=(24, 4)).astype("f4"))
    write("c.yaml", CONFIG.format(more=""))
    for words in (["compare", "c.yaml"], ["layers", "theirs"]):
        assert main(words) == 2
        said = capsys.readouterr().err
        assert "it comes with code of its own, which runs only with trust_remote_code: true" in said
        assert said.count("\n") == 1 and not Path("was-run").exists()
    from safetensors.torch import save_file

    monkeypatch.setenv("HF_MODULES_CACHE", str(folder / "modules"))
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(folder / "m"))
    save_file({"only.weight": torch.ones(3, 4), "only.bias": torch.ones(3)}, "theirs/w.safetensors")
    Path("theirs/w.safetensors").rename("theirs/model.safetensors")
    write("c.yaml", CONFIG.format(more=", trust_remote_code: true"))
    assert main(["compare", "c.yaml"]) == 0
    said = capsys.readouterr().err
    line = (
        "warning: c.yaml: model_a.trust_remote_code: code that comes with the checkpoint will run"
    )
    assert line in said and Path("was-run").exists()
    assert Comparison.load("result").metadata["config"]["model_a"]["trust_remote_code"] is True


def test_the_config_in_a_result_is_never_followed(folder: Path) -> None:
    """A result from elsewhere names a factory; showing it calls none."""
    from hooksim.results import Meaning, SimilarityMatrix

    write("evil.py", "from pathlib import Path\nPath('was-run').touch()\n")
    spec = {"kind": "python", "factory": "evil:f"}
    m = SimilarityMatrix(
        "cka", torch.ones(1, 1), torch.ones(1, 1), ["0"], ["0"], Meaning("c", "max")
    )
    metadata = {"config": {"model_a": spec, "model_b": spec, "forward": "evil:f"}}
    Comparison({"cka": m}, 8, metadata).save("result", pictures=False)
    assert main(["report", "result", "--overwrite"]) == 0
    assert main(["heatmap", "result"]) == 0
    assert not Path("was-run").exists()


def calls(source: str) -> list[tuple[str, set[str]]]:
    """Every call in a file: its name as written, and its keywords with their values."""
    return [
        (ast.unparse(node.func), {ast.unparse(each) for each in node.keywords})
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
    ]


def unsafe(source: str) -> list[str]:
    """Calls that could run what they read."""
    found = []
    for name, keywords in calls(source):
        needed = {"torch.load": "weights_only=True", "np.load": "allow_pickle=False"}.get(name)
        if needed is not None and needed not in keywords:
            found.append(f"{name} without {needed}")
        if name in (
            "eval",
            "exec",
            "yaml.unsafe_load",
            "yaml.full_load",
            "os.system",
            "pickle.load",
        ):
            found.append(name)
        if name in ("pickle.loads", "joblib.load", "subprocess.run", "subprocess.Popen"):
            found.append(name)
    return found


def test_the_package_calls_nothing_that_runs_what_it_reads() -> None:
    """But for messages between the processes of one run, which `distributed/` says why."""
    found = {
        path.relative_to(PACKAGE).as_posix(): unsafe(path.read_text(encoding="utf-8"))
        for path in PACKAGE.rglob("*.py")
    }
    assert {name for name, faults in found.items() if faults} <= {"distributed/processes.py"}


def test_unsafe_calls_are_found() -> None:
    for source in (
        "torch.load(x)",
        "np.load(x, allow_pickle=True)",
        "eval('1')",
        "pickle.loads(b)",
    ):
        assert len(unsafe(source)) == 1
    assert not unsafe("torch.load(x, weights_only=True)\nnp.load(y, allow_pickle=False)")

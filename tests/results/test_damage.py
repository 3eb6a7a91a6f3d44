"""Results that were cut off, changed, made elsewhere or by another version; disks that are full."""

import errno
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from hooksim.errors import HooksimError
from hooksim.results import Comparison, Meaning, SimilarityMatrix, Trajectory
from hooksim.results.stack import MatrixStack
from hooksim.storage import SEAL, sealed

LAYERS = ["0", "1"]


def matrix(key: str) -> SimilarityMatrix:
    values = torch.rand(2, 2, dtype=torch.float64)
    return SimilarityMatrix(key, values, values / 9, LAYERS, LAYERS, Meaning("CKA", "max"))


@pytest.fixture
def result() -> Comparison:
    return Comparison({"cka": matrix("cka")}, 42, {"blocks": [42], "warnings": []})


@pytest.fixture
def folder(result: Comparison, tmp_path: Path) -> Path:
    return result.save(tmp_path / "run", pictures=False)


def change(folder: Path, changes: dict[str, Any], *, anew: bool = True) -> None:
    """Change keys of the description, None for a key to leave out; the hash made anew or not."""
    file = folder / "metadata.json"
    description = {**json.loads(file.read_text(encoding="utf-8")), **changes}
    description = {key: value for key, value in description.items() if value is not None}
    file.write_text(json.dumps(sealed(description) if anew else description))


def entry(**changes: Any) -> dict[str, Any]:
    found = {"key": "cka", "label": "CKA", "best": "max", "range": [0.0, 1.0], "direction": ""}
    return {**found, "layers_a": LAYERS, "layers_b": LAYERS, **changes}


Harm = Callable[[Path], object]
DESCRIPTION, TENSORS = "metadata.json", "matrices.safetensors"


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda f: (f / DESCRIPTION).unlink(), "is not a result of hooksim: it has no metadata.j"),
        (lambda f: (f / DESCRIPTION).write_text("{"), "damaged: metadata.json is not valid JSON"),
        (lambda f: (f / DESCRIPTION).write_bytes(b"\xff"), "metadata.json is not valid JSON"),
        (lambda f: (f / DESCRIPTION).write_text("[" * 99999), "metadata.json is not valid JSON"),
        (lambda f: (f / DESCRIPTION).write_text("3"), "metadata.json is of another kind"),
        (lambda f: change(f, {"format": ["x"]}), "metadata.json is of another kind"),
        (lambda f: change(f, {"schema_version": 3}), r"newer hooksim \(schema 3.*Upgrade hooksim"),
        (lambda f: change(f, {"schema_version": True}), "metadata.json has no schema version"),
        (lambda f: change(f, {"schema_version": 0}), "schema_version is 0, expected from 1"),
        (lambda f: change(f, {"n_samples": 41}, anew=False), "its sha256 is another"),
        (lambda f: change(f, {SEAL: None}, anew=False), "its sha256 is another"),
        (lambda f: change(f, {"schema_version": 1}, anew=False), "its sha256 is another"),
        (lambda f: change(f, {"matrices_sha256": None}), "metadata.json is not what was written"),
        (lambda f: change(f, {"matrices": [{"key": "x"}]}), "matrices.0.label: Field required"),
        (lambda f: change(f, {"matrices": 3}), "matrices: Input should be a valid array"),
        (lambda f: change(f, {"n_samples": "42"}), "n_samples: Input should be a valid integer"),
        (lambda f: change(f, {"n_samples": -1}), "n_samples is -1, expected from 0"),
        (lambda f: change(f, {"matrices": [entry(layers_a="ab")]}), "layers_a: Input should be a"),
        (lambda f: change(f, {"matrices": [entry(best="most")]}), "best: Input should be 'max'"),
        (lambda f: change(f, {"matrices": [entry(range=[1, 0])]}), "its parts do not fit .*range"),
        (lambda f: change(f, {"matrices": [entry(key="x")]}), "its parts do not fit each other"),
        (lambda f: change(f, {"matrices": [entry(layers_a=["0"])]}), "do not fit .*of shape"),
        (lambda f: change(f, {"matrices": [entry(), entry()]}), "a matrix is listed twice"),
        (lambda f: change(f, {"files": [3]}), "files.0: Input should be a valid string"),
        (lambda f: (f / TENSORS).unlink(), "damaged: matrices.safetensors is missing"),
        (lambda f: (f / TENSORS).write_bytes(b""), "matrices.safetensors is not what was written"),
    ],
)  # fmt: skip
def test_damage_is_said_in_one_line(folder: Path, harm: Harm, message: str) -> None:
    harm(folder)
    with pytest.raises(HooksimError, match=message) as caught:
        Comparison.load(folder)
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)


@given(data=st.data())
@pytest.mark.parametrize("name", [DESCRIPTION, TENSORS])
def test_any_flipped_bit_and_any_cut_is_found(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("results")
    result = Comparison({"cka": matrix("cka")}, 42, {"name": "x"})
    file = result.save(folder / "run", pictures=False) / name
    whole = file.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        file.write_bytes(whole[:place])
    else:
        flipped = whole[place] ^ (1 << data.draw(st.integers(0, 7)))
        file.write_bytes(whole[:place] + bytes([flipped]) + whole[place + 1 :])
    try:
        again = Comparison.load(folder / "run")
    except HooksimError as error:
        assert "\n" not in str(error)
    else:  # white space between the keys says nothing
        assert name == DESCRIPTION and again.metadata == {"name": "x"}
        assert json.loads(file.read_bytes()) == json.loads(whole)


def test_a_result_of_an_older_version_is_read(folder: Path, result: Comparison) -> None:
    change(folder, {"schema_version": 1, "matrices_sha256": None})
    change(folder, {SEAL: None}, anew=False)
    again = Comparison.load(folder)
    assert torch.equal(again["cka"].values, result["cka"].values)
    result.save(folder, overwrite=True, pictures=False)
    assert json.loads((folder / DESCRIPTION).read_text())["schema_version"] == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged: matrices.safetensors cannot be read"),
        (save({"cka.values": torch.ones(2, 2)}), "damaged: its parts do not fit .*cka.stderr"),
        (
            save({f"cka.{each}": torch.ones(3, 2) for each in ("values", "stderr")}),
            r"damaged: its parts do not fit .*shape \(3, 2\), expected \(2, 2\)",
        ),
    ],
)
def test_matrices_from_elsewhere(folder: Path, content: bytes, message: str) -> None:
    change(folder, {"schema_version": 1, "matrices_sha256": None})
    change(folder, {SEAL: None}, anew=False)
    (folder / TENSORS).write_bytes(content)
    with pytest.raises(HooksimError, match=message):
        Comparison.load(folder)


def test_a_result_that_is_replaced_while_it_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its description and its matrices another one takes its place."""
    other = Comparison({"cka": matrix("cka")}, 7, {})
    read, looks = Path.read_bytes, []

    def reading(file: Path) -> bytes:
        looks.append(file.name)
        if len(looks) == 2:
            monkeypatch.setattr(Path, "read_bytes", read)
            other.save(folder, overwrite=True, pictures=False)
        return read(file)

    monkeypatch.setattr(Path, "read_bytes", reading)
    again = Comparison.load(folder)
    assert looks == [DESCRIPTION, TENSORS] and again.n_samples == 7
    assert torch.equal(again["cka"].values, other["cka"].values)


FULL = OSError(errno.ENOSPC, "No space left on device")
WRITERS = ["pathlib.Path.write_bytes", "pathlib.Path.write_text", "pathlib.Path.mkdir", "os.fsync"]


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_is_one_line_and_leaves_nothing(
    result: Comparison, folder: Path, monkeypatch: pytest.MonkeyPatch, writer: str
) -> None:
    stack = MatrixStack("cka", *[torch.ones(1, 2, 2)] * 2, LAYERS, LAYERS, Meaning("CKA", "max"))
    before = (folder / TENSORS).read_bytes()

    def refuse(*_: object, **__: object) -> None:
        raise FULL

    with monkeypatch.context() as patch:
        patch.setattr(writer, refuse)
        for each in (result, Trajectory([1], {"cka": stack}, 3, {})):
            for target, overwrite in ((folder, True), (folder.parent / "new" / "run", False)):
                message = "': the result cannot be written: No space left on device.$"
                with pytest.raises(HooksimError, match=message):
                    each.save(target, overwrite)
    assert (folder / TENSORS).read_bytes() == before
    kept = {path.name for path in folder.parent.iterdir()} - {"new"}
    assert kept == {"run"} and Comparison.load(folder).n_samples == 42
    assert not any((folder.parent / "new").glob("*")) or writer == "pathlib.Path.mkdir"


TWO = """
import sys, time, torch
from pathlib import Path
import hooksim
from hooksim.results import Comparison, Meaning, SimilarityMatrix

folder, number, go = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
values = torch.full((2, 2), float(number), dtype=torch.float64)
m = SimilarityMatrix("cka", values, values, ["0", "1"], ["0", "1"], Meaning("CKA", "max"))
result = Comparison({"cka": m}, number, {})
while not go.exists():
    time.sleep(0.001)
said = []
for _ in range(40):
    try:
        result.save(folder, overwrite=sys.argv[4] == "True", pictures=False)
    except hooksim.ConfigError as error:
        said.append(str(error))
    found = Comparison.load(folder)
    assert (found["cka"].values == found.n_samples).all(), "two results are mixed"
print(len(said), *set(said))
"""


@pytest.mark.parametrize("overwrite", [True, False])
def test_two_processes_that_save_to_one_folder(tmp_path: Path, overwrite: bool) -> None:
    folder, go = tmp_path / "run", tmp_path / "go"
    both = [
        subprocess.Popen(
            [sys.executable, "-c", TWO, str(folder), str(number), str(go), str(overwrite)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in (1, 2)
    ]
    go.touch()
    told = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    refused = sum(int(out.split()[0]) for out, _ in told)
    assert refused == (0 if overwrite else 79)
    assert {path.name for path in tmp_path.iterdir()} == {"run", "go"}

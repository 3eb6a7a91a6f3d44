"""The schema: what a file may say, and one line for everything else."""

import inspect
import sys

import pytest

from hooksim.capture.rows import Rows
from hooksim.cli.config import Config, read_config
from hooksim.cli.data import DATA_KINDS
from hooksim.comparison import compare
from hooksim.errors import ConfigError, HooksimError, LayerNotFoundError
from hooksim.loading import MODEL_KINDS
from hooksim.measures.cka import CKA
from hooksim.measures.information_imbalance import InformationImbalance


def options(folder, *overrides):
    return read_config("c.yaml", overrides).compare_options()


def test_the_keys_are_the_arguments_of_compare():
    arguments = set(inspect.signature(compare).parameters) - {"a", "b", "loader"}
    assert set(Config.model_fields) == arguments | {"model_a", "model_b", "data", "output"}


def test_a_string_is_the_path_of_a_checkpoint(folder):
    text = "data={kind: text, path: x.txt, tokenizer_b: words}"
    keys = read_config("c.yaml", ["model_a=runs/seed-0/checkpoint-3", text]).keys
    assert keys.model_a == {"kind": "transformers", "path": "runs/seed-0/checkpoint-3"}
    assert keys.data["tokenizer_b"] == {"kind": "transformers", "path": "words"}


def test_what_is_left_out_is_left_to_compare(folder):
    assert options(folder) == {}


def test_specs_keep_only_the_keys_that_are_there(folder):
    keys = read_config("c.yaml").keys
    assert keys.data == {"kind": "npz", "path": "points.npz", "batch_size": 16}
    assert keys.model_a["kwargs"] == {"seed": 0}


@pytest.mark.parametrize(
    ("override", "key", "expected"),
    [
        ("measures=cka", "measures", [CKA()]),
        (
            "measures=[{name: cka, debiased: false}, information_imbalance]",
            "measures",
            [CKA(debiased=False), InformationImbalance()],
        ),
        ("rows=mean", "rows", Rows("mean")),
        ("rows={policy: cls, normalize: true}", "rows", Rows("cls", normalize=True)),
        ("rows=[cls, {policy: last}]", "rows", (Rows("cls"), Rows("last"))),
        ("layers_a=encoder.*", "layers_a", ["encoder.*"]),
        ("layers_a=[a, 're:b']", "layers_a", ["a", "re:b"]),
        ("measures={name: cka, exact: true}", "measures", [CKA(exact=True)]),
        ("layers_a=null", "layers_a", None),
        ("block_size=256", "block_size", 256),
        ("block_size=batch", "block_size", "batch"),
        ("max_samples=10", "max_samples", 10),
        ("forward=small_models:second_element", "forward", "small_models:second_element"),
    ],
)
def test_values(folder, override, key, expected):
    assert options(folder, override) == {key: expected}


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("mesures=cka", "mesures: unknown key, did you mean 'measures'?"),
        ("xyzzy=1", "xyzzy: unknown key"),
        ("layers='0'", "layers: unknown key, did you mean 'layers_a' or 'layers_b'?"),
        ("batch_size=3", "batch_size: unknown key; it is a key of data"),
        ("tokenizer=x", "tokenizer: unknown key; data has 'tokenizer_a' and 'tokenizer_b'"),
        ("weights=x", "weights: unknown key; it is a key of a model"),
        ("resume=true", "resume: unknown key; it is an option: --resume"),
        ("measures='cka, information_imbalance'", "measures: expected one of 'cka', 'information_imbalance', got 'cka, information_imbalance', did you mean [cka, information_imbalance]?"),  # noqa: E501
        ("data.batchsize=3", "data.batchsize: unknown key, did you mean 'batch_size'?"),
        ("model_a.factry=x", "model_a.factry: unknown key, did you mean 'factory'?"),
        ("data.kind=nzp", "data.kind: expected one of 'digits', 'text', 'images', 'npz', 'python', got 'nzp', did you mean 'npz'?"),  # noqa: E501
        ("data={path: x.npz}", "data.kind: missing; for example {kind: digits}"),
        ("data=npz", "data: expected a mapping such as {kind: digits}, got 'npz'"),
        ("data=my/texts.jsonl", "data: expected a mapping such as {kind: text, path: my/texts.jsonl}, got 'my/texts.jsonl'"),  # noqa: E501
        ("model_a=3", "model_a: expected a mapping such as {kind: transformers, path: ...}, got 3"),
        ("model_a={path: x}", "model_a.kind: missing; for example {kind: transformers, path: ...}"),
        ("data={kind: text, path: x.txt, tokenizer_b: {path: x}}", "data.tokenizer_b.kind: missing; for example {kind: transformers, path: ...}"),  # noqa: E501
        ("memory_budget=-3", "memory_budget: expected at least 0, got -3"),
        ("on_nonfinite=skip", "on_nonfinite: expected 'error' or 'drop', got 'skip'"),
        ("layers_a=[]", "layers_a: expected a list that is not empty, got []"),
        ("layers_b='re:['", "layers_b: 're:[' is not a regular expression: unterminated character set at position 0"),  # noqa: E501
        ("data={kind: npz}", "data.path: missing"),
        ("data={kind: digits, split: tset}", "data.split: expected 'train', 'test' or 'all', got 'tset', did you mean 'test'?"),  # noqa: E501
        ("data.batch_size=0", "data.batch_size: expected at least 1, got 0"),
        ("data.batch_size='16'", "data.batch_size: expected an integer, got '16'"),
        ("measures=ckaa", "measures: expected one of 'cka', 'information_imbalance', got 'ckaa', did you mean 'cka'?"),  # noqa: E501
        ("measures=[cka, {name: cka, debiasd: false}]", "measures.1.debiasd: unknown key, did you mean 'debiased'?"),  # noqa: E501
        ("measures=[{name: cka, debiased: 1}]", "measures.0.debiased: expected true or false, got 1"),  # noqa: E501
        ("measures=[]", "measures: expected a list that is not empty, got []"),
        ("rows={normalise: true}", "rows.normalise: unknown key, did you mean 'normalize'?"),
        ("rows=[cls, cls, cls]", "rows: expected a list of at most 2, got ['cls', 'cls', 'cls']"),
        ("block_size=bach", "block_size: expected an integer, 'auto', 'batch' or 'all', got 'bach', did you mean 'batch'?"),  # noqa: E501
        ("block_size=true", "block_size: expected an integer, 'auto', 'batch' or 'all', got True"),
        ("layers_b=[a, 3]", "layers_b.1: expected a string, got 3"),
        ("pairs=same_names", "pairs: expected 'all' or 'same_name', got 'same_names', did you mean 'same_name'?"),  # noqa: E501
        ("max_samples=0", "max_samples: expected at least 1, got 0"),
        ("model_a={kind: transformers, path: x, dtype: float23}", "model_a.dtype: expected 'auto', 'float64', 'float32', 'float16' or 'bfloat16', got 'float23', did you mean 'float32'?"),  # noqa: E501
    ],
)  # fmt: skip
def test_one_line_for_what_is_wrong(folder, override, line):
    with pytest.raises(ConfigError) as error:
        read_config("c.yaml", [override])
    assert str(error.value) == f"c.yaml: {line}"


@pytest.mark.parametrize(
    ("override", "start"),
    [
        ("rows=maen", "rows: no policy 'maen'. Close names: 'mean'"),
        ("rows=[cls, maen]", "rows.1: no policy 'maen'."),
        ("measures=[cka, {name: information_imbalance, k: 0}]", "measures.1: "),
        ("measures=[{name: cka, kernel: rfb}]", "measures.0: "),
    ],
)
def test_errors_of_the_library_get_their_place(folder, override, start):
    with pytest.raises(ConfigError) as error:
        read_config("c.yaml", [override])
    assert str(error.value).startswith(f"c.yaml: {start}")


def test_further_errors_are_named(folder):
    with pytest.raises(ConfigError) as error:
        read_config("c.yaml", ["pairs=some", "device=3"])
    assert str(error.value).endswith("(1 more wrong: device)") or str(error.value).endswith(
        "(1 more wrong: pairs)"
    )


def test_a_missing_model(folder):
    (folder / "c.yaml").write_text("data: {kind: digits}\noutput: x\n")
    with pytest.raises(ConfigError, match=r"^c\.yaml: model_a: missing \(1 more wrong: model_b\)$"):
        read_config("c.yaml")


@pytest.mark.parametrize("table", [MODEL_KINDS, DATA_KINDS])
def test_every_kind_documents_its_keys(table):
    for function in table.values():
        documentation = inspect.getdoc(function)
        for name, parameter in inspect.signature(function).parameters.items():
            if not name.startswith("_") and parameter.kind is not parameter.VAR_KEYWORD:
                assert f"{name}:" in documentation, (function, name)


class TestPlaces:
    @pytest.mark.parametrize(
        ("key", "message", "line"),
        [
            ("model_a", "path: no folder 'x'", "c.yaml: model_a.path: no folder 'x'"),
            ("data", "tokenizer_a.path: gone", "c.yaml: data.tokenizer_a.path: gone"),
            ("forward", "Some sentence: indeed", "c.yaml: forward: Some sentence: indeed"),
            ("", "k: too large", "c.yaml: k: too large"),
        ],
    )
    def test_keys_continue_the_path(self, folder, key, message, line):
        with pytest.raises(ConfigError) as error, read_config("c.yaml").at(key):
            raise ConfigError(message)
        assert str(error.value) == line

    def test_layers_that_are_not_there_are_an_error_of_the_file(self, folder):
        config = read_config("c.yaml")
        with pytest.raises(LayerNotFoundError, match=r"^c\.yaml: no layer"), config.at():
            raise LayerNotFoundError("no layer")

    def test_other_errors_stay_as_they_are(self, folder):
        with pytest.raises(HooksimError, match=r"^gone$"), read_config("c.yaml").at("data"):
            raise HooksimError("gone")

    def test_the_folder_is_importable_only_inside(self, folder):
        config, before = read_config("c.yaml"), list(sys.path)
        with config.importable():
            assert sys.path[0] == str(folder.resolve())
        assert sys.path == before


@pytest.mark.parametrize(
    ("data", "words", "place", "told"),
    [
        ("text", "index out of range in self", "in the forward pass of model A", True),
        ("text", "no disk", "in the forward pass of model A", False),
        ("text", "index out of range in self", "in the loader", False),
        ("npz", "index out of range in self", "in the forward pass of model A", False),
    ],
)
def test_a_text_that_is_too_long_is_thought_of(folder, data, words, place, told):
    config = read_config("c.yaml", [f"data={{kind: {data}, path: t}}"])
    error = IndexError(words)
    error.add_note(place)
    with pytest.raises(IndexError), config.at():
        raise error
    assert any("data.max_length cuts it" in note for note in error.__notes__) is told

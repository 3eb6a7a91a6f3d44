"""YAML read strictly, and `--set`."""

import pytest

from hooksim.cli.document import apply_override, read_document
from hooksim.errors import ConfigError


def refused(tmp_path, text, *overrides):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        read_document(path, overrides)
    return str(error.value).removeprefix(f"{path}: ")


def test_plain_data(tmp_path):
    (tmp_path / "c.yaml").write_text("a: {b: [1, x]}\nc: null\n")
    assert read_document(tmp_path / "c.yaml") == {"a": {"b": [1, "x"]}, "c": None}


def test_merge_keys_are_not_duplicates(tmp_path):
    (tmp_path / "c.yaml").write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n")
    assert read_document(tmp_path / "c.yaml")["b"] == {"x": 1, "y": 3}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: key 'a' stands twice in one mapping"),
        ("a:\n  b: {c: 1, c: 2}\n", "line 2: key 'c' stands twice in one mapping"),
        ("a: 1\nb: [1, 2\n", "line 3: expected ',' or ']', but got '<stream end>'"),
        ("a: 1\n b: 2\n", "line 2: mapping values are not allowed here"),
        ("- a\n", "expected a mapping of keys at the top, got list"),
        ("", "expected a mapping of keys at the top, got nothing"),
        ("a: !!python/object/apply:os.getcwd []\n", "line 1: could not determine a constructor"),
    ],
)
def test_what_is_not_a_document(tmp_path, text, words):
    assert refused(tmp_path, text).startswith(words)


def test_missing_file(tmp_path):
    with pytest.raises(ConfigError, match=r"no\.yaml: cannot be read: No such file or directory$"):
        read_document(tmp_path / "no.yaml")


def test_missing_file_whose_name_is_close(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bert.yaml").write_text("")
    for name in ("bert.yml", "bart.yaml", "bert"):
        with pytest.raises(ConfigError, match=r"directory, did you mean 'bert\.yaml'\?$"):
            read_document(name)


def test_folder(tmp_path):
    with pytest.raises(ConfigError, match="is a folder, expected a configuration: a YAML file"):
        read_document(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nlayers: **.query\n", "line 2: what begins with * needs quotes, such as '**.at"),
        ("a: 1\nlayers: *\n", "line 2: what begins with * needs quotes, such as"),
        ("a: 1\nlayers: *query\n", "line 2: what begins with * needs quotes, such as"),
        ("a: 1\nb:2\nc: 3\n", "line 2: could not find expected ':' and a blank behind a key"),
    ],
)
def test_what_is_close_to_yaml(tmp_path, text, words):
    assert refused(tmp_path, text).startswith(words)


@pytest.mark.parametrize(
    ("document", "override", "expected"),
    [
        ({"a": "x"}, "a=**.query", {"a": "**.query"}),
        ({"a": "x"}, "a=*", {"a": "*"}),
        ({"model_a": "m"}, "model_a.dtype=float16", {"model_a": {"kind": "transformers", "path": "m", "dtype": "float16"}}),  # noqa: E501
        ({"data": {"tokenizer_b": "m"}}, "data.tokenizer_b.path=n", {"data": {"tokenizer_b": {"kind": "transformers", "path": "n"}}}),  # noqa: E501
        ({"reference": "first"}, "reference.path=m", {"reference": {"kind": "transformers", "path": "m"}}),  # noqa: E501
        ({"rows": ["mean", "last"]}, "rows.1.normalize=true", {"rows": ["mean", {"policy": "last", "normalize": True}]}),  # noqa: E501
        ({"measures": "cka"}, "measures.exact=true", {"measures": {"name": "cka", "exact": True}}),
    ],
)  # fmt: skip
def test_set_of_patterns_and_short_forms(document, override, expected):
    apply_override(document, override)
    assert document == expected


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("a=2", {"a": 2, "b": [{"c": 1}]}),
        ("b.0.c=[x, null]", {"a": 1, "b": [{"c": ["x", None]}]}),
        ("b.0=y", {"a": 1, "b": ["y"]}),
        ("d.e.f=true", {"a": 1, "b": [{"c": 1}], "d": {"e": {"f": True}}}),
        ("a=x=y", {"a": "x=y", "b": [{"c": 1}]}),
        ("a=", {"a": None, "b": [{"c": 1}]}),
    ],
)
def test_set(override, expected):
    document = {"a": 1, "b": [{"c": 1}]}
    apply_override(document, override)
    assert document == expected


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("a", "--set 'a': expected key.path=value"),
        ("=1", "--set '=1': expected key.path=value"),
        ("a..b=1", "--set 'a..b=1': expected key.path=value"),
        ("a.b=1", "--set 'a.b=1': a is 1, not a mapping or list"),
        ("b.3.c=1", "--set 'b.3.c=1': b is a list of 1, it has no item '3'"),
        ("b.c=1", "--set 'b.c=1': b is a list of 1, it has no item 'c'"),
        ("a=[1", "--set 'a=[1': the value is not YAML: line 1: expected ',' or ']'"),
        ("a={x: 1, x: 2}", "--set 'a={x: 1, x: 2}': the value is not YAML: line 1: key 'x'"),
    ],
)
def test_set_that_does_not_fit(override, words):
    with pytest.raises(ConfigError) as error:
        apply_override({"a": 1, "b": [{"c": 1}]}, override)
    assert str(error.value).startswith(words)

"""Data that do not fit a model, or not in this order: one line says what to do."""

import numpy as np
import pytest
import yaml

from hooksim.cli.main import main
from hooksim.cli.pictures import find_pictures


def compare(zoo, path, kind, model_a, model_b, **changes):
    sources = {"text": "sentences.txt", "images": "pictures"}
    content = {
        "model_a": model_a if isinstance(model_a, dict) else str(zoo / model_a),
        "model_b": str(zoo / model_b),
        "data": {"kind": kind, "path": str(zoo / sources[kind])},
        "output": str(path / "result"),
        **changes,
    }
    (path / "c.yaml").write_text(yaml.safe_dump(content))
    return main(["compare", str(path / "c.yaml")])


@pytest.mark.parametrize(
    ("kind", "models", "words"),
    [
        (
            "text",
            ("vit", "bert"),
            "data.tokenizer_a: '{zoo}/vit' holds no tokenizer; ViTModel takes no 'input_ids' but "
            "'pixel_values': give it another kind of data, or another model",
        ),
        (
            "images",
            ("vit", "bert"),
            "data.processor_b: '{zoo}/bert' holds no image processor; BertModel takes no "
            "'pixel_values' but 'input_ids': give it another kind of data, or another model",
        ),
        (
            "text",
            ("brt", "bert"),
            "model_a.path: no folder '{zoo}/brt', did you mean '{zoo}/bert'?",
        ),
        (
            "images",
            ("vit", "rsnet"),
            "model_b.path: no folder '{zoo}/rsnet', did you mean '{zoo}/resnet'?",
        ),
    ],
)
def test_a_model_of_another_kind_or_none(zoo, tmp_path, capsys, kind, models, words):
    assert compare(zoo, tmp_path, kind, *models) == 2
    expected = f"{tmp_path / 'c.yaml'}: {words.replace('{zoo}', str(zoo))}\n"
    assert capsys.readouterr() == ("", expected)


def test_shuffled_pictures_against_features(zoo, tmp_path, capsys):
    names = find_pictures(str(zoo / "pictures")).ids
    rows = np.random.default_rng(0).normal(size=(len(names), 5))
    np.savez(tmp_path / "f.npz", rows=rows, names=np.array(names))
    features = {"kind": "features", "path": str(tmp_path / "f.npz"), "ids": "names"}
    assert compare(zoo, tmp_path, "images", features, "vit") == 1
    line = capsys.readouterr().err
    assert line.startswith("AlignmentError: ")
    assert line.endswith(" Pictures come shuffled: data.order: as_is gives them by their names.\n")
    as_is = {"kind": "images", "path": str(zoo / "pictures"), "order": "as_is"}
    assert compare(zoo, tmp_path, "images", features, "vit", data=as_is) == 0

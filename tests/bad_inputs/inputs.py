"""Models, weights, data and layers that cannot be used."""

import shutil
from pathlib import Path

import numpy as np
import torch

from tests.bad_inputs.case import OTHER, USAGE, Bad, compare
from tests.bad_inputs.folder import (
    arrays,
    bomb,
    cut,
    edit,
    flip,
    malicious_pickle,
    malicious_weights,
    perceptron_state,
    remote_code,
    write,
)

ONLY_A = "model_b={kind: python, factory: 'bad_input_models:unused'}"
BERT = "model_b={kind: transformers, path: bert}"
WEIGHTS = "bert/model.safetensors"


def data(spec: str) -> list[str]:
    """Words of a comparison of other data."""
    return compare(f"data={{{spec}}}")


FACTORY = "model_a.factory="
MODELS = {
    "no colon": Bad(
        compare(f"{FACTORY}x"), "c.yaml: model_a.factory: expected 'package.module:fun"
    ),
    "no module": Bad(compare(f"{FACTORY}'no_such:f'"), "c.yaml: model_a.factory: no module 'no_su"),
    "relative module": Bad(compare(f"{FACTORY}'..x:f'"), "c.yaml: model_a.factory: "),
    "no function": Bad(
        compare(f"{FACTORY}'bad_input_models:perception'"),
        "c.yaml: model_a.factory: module 'bad_input_models' has no 'perception', did you mean",
    ),
    "no callable": Bad(
        compare(f"{FACTORY}'math:pi'"), "c.yaml: model_a.factory: 'math:pi' is no f"
    ),
    "other arguments": Bad(compare("model_a.kwargs={}"), "c.yaml: model_a.kwargs: 'bad_input_mode"),
    "no model": Bad(
        compare("model_a={kind: python, factory: 'bad_input_models:number'}"),
        "c.yaml: model_a.factory: 'bad_input_models:number' returned int, expected a torch.nn.Mod",
    ),
    "a factory that fails": Bad(
        compare("model_a={kind: python, factory: 'bad_input_models:broken'}"),
        "RuntimeError: out of paper",
        OTHER,
    ),
    "a module of wrong syntax": Bad(
        compare("model_a={kind: python, factory: 'wrong_syntax:f'}"),
        "SyntaxError: ",
        OTHER,
        harm=lambda: write("wrong_syntax.py", "def f(:\n"),
    ),
    "no folder": Bad(compare("model_b=./no/such"), "c.yaml: model_b.path: no folder './no/such'"),
    "a name that no hub has": Bad(
        compare("model_b=beért"), "c.yaml: model_b.path: no folder 'beért'"
    ),
    "two dots in a hub's name": Bad(
        compare("model_b=a..b"),
        "c.yaml: model_b.path: no folder 'a..b' here, and no such model from",
    ),
    "no checkpoint": Bad(
        compare("model_b=thesis"), "c.yaml: model_b.path: 'thesis' holds no confi"
    ),
    "config that is cut off": Bad(
        compare(BERT),
        "c.yaml: model_b.path: cannot read the config of 'bert': ",
        harm=lambda: cut("bert/config.json", 40),
    ),
    "unknown architecture": Bad(
        compare(BERT),
        "c.yaml: model_b.path: cannot read the config of 'bert': ",
        harm=lambda: edit("bert/config.json", model_type="brt"),
    ),
    "code of others": Bad(
        compare(BERT),
        "c.yaml: model_b.path: cannot read the config of 'bert': ...trust_remote_code",
        harm=lambda: remote_code("bert"),
    ),
    "wrong class": Bad(
        compare("model_b={kind: transformers, path: bert, auto_class: BertModle}"),
        "c.yaml: model_b.auto_class: transformers has no model class 'BertModle', did you mean",
    ),
}


def weights(name: str) -> list[str]:
    """Words of a comparison with a file of weights."""
    return compare(f"model_b.weights={name}")


WEIGHT_FILES = {
    "no file": Bad(weights("no.pt"), "c.yaml: model_b.weights: no file 'no.pt' in "),
    "a pickle with code": Bad(
        weights("w.pt"),
        "c.yaml: model_b.weights: 'w.pt' holds more than tensors and could run code; it is refuse",
        harm=lambda: malicious_weights("w.pt"),
    ),
    "a bare pickle with code": Bad(
        weights("w.pt"),
        "c.yaml: model_b.weights: 'w.pt' holds more than tensors and could run code; it is refuse",
        harm=lambda: malicious_pickle("w.pt"),
    ),
    "a whole module": Bad(
        weights("w.pt"),
        "c.yaml: model_b.weights: 'w.pt' holds more than tensors and could run code; it is refuse",
        harm=lambda: torch.save(torch.nn.Linear(2, 2), "w.pt"),
    ),
    "nothing in the file": Bad(weights("w.pt"), "...'w.pt'", OTHER, lambda: write("w.pt", b"")),
    "a text": Bad(weights("w.pt"), "...'w.pt'", USAGE, lambda: write("w.pt", "weights")),
    "cut off": Bad(
        weights("good.safetensors"), "...'good.safetensors'", OTHER, lambda: cut(GOOD, -40)
    ),
    "cut off, torch.save": Bad(
        weights("run/step-1.pt"), "...'run/step-1.pt'", OTHER, lambda: cut("run/step-1.pt", -40)
    ),
    "too few": Bad(
        weights("w.pt"),
        "MissingWeightsError: c.yaml: model_b.allow_missing: 'w.pt' has no weights for 3 paramete",
        OTHER,
        lambda: torch.save({"0.weight": torch.ones(6, 4)}, "w.pt"),
    ),
    "another shape": Bad(
        weights("w.pt"),
        "MissingWeightsError: c.yaml: model_b: 'w.pt' has 1 parameter of Sequential in another sh",
        OTHER,
        lambda: torch.save({**perceptron_state(), "2.bias": torch.ones(4)}, "w.pt"),
    ),
    "of no checkpoint": Bad(
        compare(BERT),
        "MissingWeightsError: c.yaml: model_b: 'bert' holds no weights: none of its files is name",
        OTHER,
        lambda: Path(WEIGHTS).unlink(),
    ),
    "of a checkpoint, cut off": Bad(compare(BERT), "...'bert", OTHER, lambda: cut(WEIGHTS, -40)),
    "of a checkpoint, with code": Bad(
        compare(BERT),
        "...'bert",
        USAGE,
        lambda: (Path(WEIGHTS).unlink(), malicious_weights("bert/pytorch_model.bin")),
    ),
}
GOOD = "good.safetensors"

IN_BATCHES = "kind: python, factory: 'bad_input_models:batches', kwargs: "
DATA = {
    "no file": Bad(compare("data.path=no.npz"), "c.yaml: data.path: no file 'no.npz' in "),
    "no arrays": Bad(
        compare(),
        "c.yaml: data.path: cannot read 'points.npz': ",
        harm=lambda: write("points.npz", b"PK\x03\x04"),
    ),
    "cut off": Bad(
        compare(),
        "c.yaml: data.path: cannot read 'points.npz': ",
        harm=lambda: cut("points.npz", -30),
    ),
    "damaged": Bad(
        compare(),
        "c.yaml: data.path: cannot read 'points.npz': ",
        harm=lambda: flip("points.npz", 400),
    ),
    "objects": Bad(
        compare(),
        "c.yaml: data.path: cannot read 'points.npz': ...allow_pickle=False",
        harm=lambda: arrays(points=np.array([{}], dtype=object)),
    ),
    "a single array": Bad(
        compare(),
        "c.yaml: data.path: 'points.npz' is a single array; expected an .npz file",
        harm=lambda: (np.save("a.npy", np.ones(3)), shutil.move("a.npy", "points.npz")),
    ),
    "a bomb": Bad(
        compare(),
        "c.yaml: data.path: 'points.npz' holds ...that unfold to 2,147,483,647",
        harm=lambda: bomb("points.npz"),
    ),
    "texts": Bad(compare(), "c.yaml: ", harm=lambda: arrays(points=np.array(["a", "b"]))),
    "two lengths": Bad(
        compare(),
        "c.yaml: data.arrays: of different lengths",
        harm=lambda: arrays(a=np.ones((3, 4)), b=np.ones((4, 4))),
    ),
    "no samples": Bad(
        compare(),
        "c.yaml: data.arrays: 'points' hold no samples",
        harm=lambda: arrays(points=np.ones((0, 4))),
    ),
    "a number": Bad(
        compare(),
        "c.yaml: data.arrays: 'points' hold no samples",
        harm=lambda: arrays(points=np.float32(3)),
    ),
    "another array": Bad(compare("data.arrays=pionts"), "c.yaml: data.arrays: 'points.npz' has no"),
    "another ids": Bad(compare("data.ids=names"), "c.yaml: data.ids: 'points.npz' has no array 'n"),
    "another width": Bad(
        compare(),
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied",
        OTHER,
        lambda: arrays(points=np.ones((40, 5), np.float32)),
    ),
    "not finite": Bad(
        compare(),
        "NonFiniteError: ",
        OTHER,
        lambda: arrays(points=np.full((40, 4), np.nan, np.float32)),
    ),
    "too few samples": Bad(
        compare("max_samples=3"), "NotEnoughSamplesError: the data has 3 row", 1
    ),
    "broken lines": Bad(
        data("kind: text, path: t.jsonl"),
        "c.yaml: data.path: line 1 of 't.jsonl' is not JSON: ",
        harm=lambda: write("t.jsonl", "{"),
    ),
    "lines too deep": Bad(
        data("kind: text, path: t.jsonl"),
        "c.yaml: data.path: line 1 of 't.jsonl' is not JSON: ",
        harm=lambda: write("t.jsonl", "[" * 99999),
    ),
    "no text": Bad(
        data("kind: text, path: t.txt"),
        "c.yaml: data.path: cannot read 't.txt': not UTF-8 text",
        harm=lambda: write("t.txt", b"\xff"),
    ),
    "empty lines": Bad(
        data("kind: text, path: t.txt"),
        "c.yaml: data.path: 't.txt' holds no text",
        harm=lambda: write("t.txt", "\n\n"),
    ),
    "no tokenizer": Bad(
        compare("data={kind: text, path: t.txt}", "model_a=bert", BERT),
        "c.yaml: data.tokenizer_a: 'bert' holds no tokenizer",
        harm=lambda: write("t.txt", "a\n"),
    ),
    "no pictures": Bad(
        data("kind: images, path: thesis"), "c.yaml: data.path: 'thesis' holds no p"
    ),
    "a broken picture": Bad(
        data("kind: images, path: thesis"),
        "c.yaml: data.path: cannot read 'x.png': it is no pict",
        harm=lambda: write("thesis/x.png", b"\x89PNG"),
    ),
    "no batches": Bad(data(f"{IN_BATCHES}{{count: 0}}"), "NotEnoughSamplesError: ", OTHER),
    "no loader": Bad(
        data("kind: python, factory: 'bad_input_models:number'"),
        "c.yaml: data.factory: 'bad_input_models:number' returned int, expected an iterable of ba",
    ),
    "a loader that fails": Bad(
        data(f"{IN_BATCHES}{{count: 3, error: true}}"),
        "OSError: [Errno 5] Input/output error",
        OTHER,
    ),
}

LAYERS = {
    "no such layer": Bad(
        compare("layers_a=nine"), "c.yaml: layers_a: no layer of model A (Sequent"
    ),
    "no such pattern": Bad(
        compare("layers_b=['0', 'x.*']"), "c.yaml: layers_b: no layer of model B"
    ),
    "wrong expression": Bad(
        compare("layers_a='re:('"), "c.yaml: layers_a...is not a regular expre"
    ),
    "none": Bad(compare("layers_a=[]"), "c.yaml: layers_a: expected a list that is not empty"),
    "a number": Bad(compare("layers_a=[3]"), "c.yaml: layers_a.0: expected a string, got 3"),
    "never called": Bad(compare(ONLY_A, "layers_b=unused"), "c.yaml: layers_b: ...'unused'"),
    "listed": Bad(
        ["layers", "c.yaml", "--set", "layers_a=nine", "--selected"], "c.yaml: layers_a: "
    ),
}

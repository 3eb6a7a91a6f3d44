"""A folder with one good thing of every kind, and ways to make each of them bad."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

import hooksim
from hooksim.results import Comparison, Meaning, SimilarityMatrix

MODELS = """\
import torch
from torch import nn


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.used = nn.Linear(4, 3)
        self.unused = nn.Linear(4, 3)

    def forward(self, x):
        return self.used(x)


def perceptron(seed, width=6):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 3))


def unused():
    return Unused()


def broken():
    raise RuntimeError("out of paper\\nand more lines")


def batches(count, error=False):
    for number in range(count):
        yield torch.randn(16, 4, generator=torch.Generator().manual_seed(number))
    if error:
        raise OSError(5, "Input/output error", "shard-7.tar")


def number():
    return 3
"""

CONFIG = """\
model_a: {kind: python, factory: "bad_input_models:perceptron", kwargs: {seed: 0}}
model_b: {kind: python, factory: "bad_input_models:perceptron", kwargs: {seed: 1}}
data: {kind: npz, path: points.npz, batch_size: 16}
output: result
progress: false
"""

RECORDED = """\
model_a: {kind: recording, path: rows}
model_b: {kind: features, path: points.npz}
output: result
"""

RUN = """\
checkpoints: {kind: python, factory: "bad_input_models:perceptron", kwargs: {seed: 0}, weights: "run/*.pt"}
data: {kind: npz, path: points.npz}
output: result
progress: false
"""  # noqa: E501


class Payload:
    """What runs a command where it is unpickled."""

    def __reduce__(self):
        return (os.system, ("touch was-run",))


def make_folder(folder: Path) -> None:
    """Write what the cases start from; the folder is the working folder."""
    (folder / "bad_input_models.py").write_text(MODELS)
    (folder / "c.yaml").write_text(CONFIG)
    (folder / "recorded.yaml").write_text(RECORDED)
    (folder / "run.yaml").write_text(RUN)
    points = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    np.savez(folder / "points.npz", points=points)
    rows = {"layer": torch.from_numpy(points)}
    hooksim.Recording.from_tensors(rows).save(folder / "rows")
    values = torch.rand(2, 2, dtype=torch.float64)
    m = SimilarityMatrix("cka", values, values, ["0", "1"], ["0", "1"], Meaning("CKA", "max"))
    Comparison({"cka": m}, 40, {"blocks": [40]}).save(folder / "saved", pictures=False)
    state = perceptron_state()
    save_file(state, folder / "good.safetensors")
    (folder / "run").mkdir()
    for step in (1, 2):
        torch.save(state, folder / "run" / f"step-{step}.pt")
    make_checkpoint(folder / "bert")
    (folder / "thesis").mkdir()
    (folder / "thesis" / "thesis.tex").write_text("years of work")


def perceptron_state() -> dict[str, torch.Tensor]:
    """Weights that fit the models."""
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    return model.state_dict()


def make_checkpoint(folder: Path) -> None:
    """A checkpoint in the Hugging Face format, without a tokenizer."""
    import transformers

    config = transformers.BertConfig(
        vocab_size=12, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=16,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)


def write(name: str, content: str | bytes) -> None:
    """Write a file of the working folder."""
    data = content if isinstance(content, bytes) else content.encode()
    Path(name).write_bytes(data)


def cut(name: str, left: int) -> None:
    """Cut a file short; a negative number says how many bytes are lost."""
    write(name, Path(name).read_bytes()[:left])


def flip(name: str, place: int = -3) -> None:
    """Flip one bit of a file."""
    content = bytearray(Path(name).read_bytes())
    content[place] ^= 1
    write(name, bytes(content))


def edit(name: str, **changes: object) -> None:
    """Change keys of a JSON file."""
    write(name, json.dumps({**json.loads(Path(name).read_text()), **changes}))


def arrays(**held: object) -> None:
    """Write other arrays in the place of the points."""
    np.savez("points.npz", **held)


def malicious_weights(name: str) -> None:
    """A file of weights that runs a command where it is unpickled."""
    torch.save({"0.weight": Payload()}, name)


def malicious_pickle(name: str) -> None:
    """The same without torch's wrapping."""
    write(name, pickle.dumps(Payload()))


def bomb(name: str) -> None:
    """An .npz file of a few hundred bytes that says that it unfolds to two gigabytes."""
    np.savez_compressed(name, points=np.ones((40, 4)))
    content = bytearray(Path(name).read_bytes())
    said = content.index(b"PK\x01\x02") + 24  # the size unfolded, in the central directory
    content[said : said + 4] = (2**31 - 1).to_bytes(4, "little")
    write(name, bytes(content))


def remote_code(folder: str) -> None:
    """Turn a checkpoint into one that brings its own code."""
    maps = {"AutoConfig": "theirs.Config", "AutoModel": "theirs.Model"}
    config = {"model_type": "theirs", "auto_map": maps}
    write(f"{folder}/config.json", json.dumps(config))
    write(f"{folder}/theirs.py", THEIRS)


THEIRS = """\
from pathlib import Path

import torch
from transformers import PretrainedConfig, PreTrainedModel

Path("was-run").touch()


class Config(PretrainedConfig):
    model_type = "theirs"


class Model(PreTrainedModel):
    config_class = Config

    def __init__(self, config):
        super().__init__(config)
        self.only = torch.nn.Linear(4, 3)
        self.post_init()

    def forward(self, x):
        return self.only(x)
"""

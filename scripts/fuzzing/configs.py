"""Configurations with random mistakes, run by the real command in this process."""

import contextlib
import io
import random
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
import yaml
from PIL import Image

from hooksim.cli.main import main as hooksim
from hooksim.loading.checkpoint import transformers_messages_off
from hooksim.recording import Recording
from scripts.fuzzing.mutations import JUNK, mutate_bytes, mutate_data

__all__ = ["prepare", "try_one"]

THEIRS = '''\
"""The user's own code: what it is given wrongly, it says."""

import torch
from torch import nn


class Theirs(nn.Sequential):
    def forward(self, x):
        if not torch.is_tensor(x) or x.shape[1:] != (4,) or not x.is_floating_point():
            raise ValueError("theirs: another batch")
        return super().forward(x)


def perceptron(seed=0, width=6):
    if type(seed) is not int or type(width) is not int or not 0 < width < 99 or not 0 <= seed < 99:
        raise ValueError("theirs: other arguments")
    torch.manual_seed(seed)
    return Theirs(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 3))


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(99, 4)
        self.last = nn.Linear(4, 3)

    def forward(self, input_ids=None, attention_mask=None, pixel_values=None):
        if torch.is_tensor(input_ids) and input_ids.ndim == 4:
            pixel_values = input_ids
        if pixel_values is not None:
            return self.last(pixel_values.flatten(1)[:, :4].float())
        if not torch.is_tensor(input_ids) or input_ids.ndim != 2 or input_ids.is_floating_point():
            raise ValueError("theirs: another batch")
        return self.last(self.table(input_ids % 99))


def words():
    torch.manual_seed(0)
    return Words()


def tokenizer():
    def tokens(texts, max_length=None, **options):
        ids = torch.tensor([[len(each), 1, 2][:max_length] for each in texts])
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    return tokens


def processor():
    return lambda pictures: torch.rand(len(pictures), 3, 2, 2)


def batches(count=2):
    if type(count) is not int or count > 9:
        raise ValueError("theirs: another count")
    return [torch.randn(12, 4) for _ in range(count)]
'''

MODEL = {"kind": "python", "factory": "fuzzed_models:perceptron", "kwargs": {"seed": 0}}
WORDS = {"kind": "python", "factory": "fuzzed_models:words"}
BERT = {"kind": "transformers", "path": "bert"}
MADE = {"kind": "python", "factory": "fuzzed_models:tokenizer"}
READY = {"kind": "python", "factory": "fuzzed_models:processor"}
COMPARE: dict[str, Any] = {
    "model_a": MODEL,
    "model_b": {**MODEL, "kwargs": {"seed": 1}, "weights": "w.safetensors", "allow_missing": ["x"]},
    "data": {
        "kind": "npz",
        "path": "points.npz",
        "arrays": "points",
        "ids": "ids",
        "batch_size": 8,
    },
    "output": "result",
    "layers_a": ["0", "re:[12]"],
    "layers_b": "*",
    "measures": ["cka", {"name": "information_imbalance", "k": 1}],
    "rows": [{"policy": "mean", "normalize": True}, "auto"],
    "block_size": 12,
    "pairs": "all",
    "max_samples": 20,
    "device": "cpu",
    "stop_early": True,
    "on_nonfinite": "error",
    "memory_budget": 1000,
    "progress": False,
}
OF_WORDS = {
    "model_a": WORDS,
    "model_b": WORDS,
    "output": "result",
    "layers_a": ["table", "last"],
    "progress": False,
}
BASES: dict[str, list[dict[str, Any]]] = {
    "compare": [
        COMPARE,
        {
            "model_a": {"kind": "recording", "path": "rows"},
            "model_b": {"kind": "features", "path": "points.npz", "ids": "ids"},
            "output": "result",
            "block_size": "all",
        },
        {
            **OF_WORDS,
            "data": {
                "kind": "text",
                "path": "lines.jsonl",
                "field": "text",
                "max_length": 2,
                "tokenizer_a": MADE,
                "tokenizer_b": MADE,
            },
        },
        {
            **OF_WORDS,
            "layers_a": "last",
            "data": {
                "kind": "images",
                "path": "pictures",
                "order": "as_is",
                "batch_size": 3,
                "processor_a": READY,
                "processor_b": READY,
            },
        },
        {**OF_WORDS, "layers_a": "last", "data": {"kind": "digits", "split": "test"}},
        {**COMPARE, "data": {"kind": "python", "factory": "fuzzed_models:batches", "kwargs": {}}},
        {
            "model_a": "bert",
            "model_b": {**BERT, "dtype": "float32", "trust_remote_code": False},
            "data": {"kind": "npz", "path": "tokens.npz", "arrays": {"input_ids": "ids"}},
            "output": "result",
            "rows": "mean",
        },
    ],
    "trajectory": [
        {
            "checkpoints": {**MODEL, "weights": "run/*.safetensors", "every": 1},
            "reference": "first",
            "skip_failed": False,
            **{key: COMPARE[key] for key in ("data", "output", "measures", "rows", "progress")},
        }
    ],
}
# Where the user's own code fails as it likes: in its words, or in those of the forward pass.
THEIRS_TO_MEND = re.compile(r"theirs: |; in the forward pass of model ")


def prepare(folder: Path) -> None:
    """Write what the configurations name.

    Args:
        folder: The working folder.
    """
    from safetensors.torch import save_file

    (folder / "fuzzed_models.py").write_text(THEIRS)
    points = np.random.default_rng(0).normal(size=(24, 4)).astype(np.float32)
    np.savez(folder / "points.npz", points=points, ids=np.arange(24))
    Recording.from_tensors({"x": torch.from_numpy(points)}, range(24)).save(folder / "rows")
    (folder / "lines.jsonl").write_text('{"text": "a line"}\n' * 24)
    np.savez(folder / "tokens.npz", ids=np.arange(24).reshape(12, 2) % 9)
    (folder / "pictures").mkdir()
    for number in range(6):
        Image.new("RGB", (4, 4), (40 * number, 0, 0)).save(folder / f"pictures/{number}.png")
    config = transformers.BertConfig(
        vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    with transformers_messages_off():
        transformers.BertModel(config).save_pretrained(folder / "bert")
    (folder / "run").mkdir()
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    for file in ("w.safetensors", "run/1.safetensors", "run/2.safetensors"):
        save_file(model.state_dict(), folder / file)


def try_one(seed: int) -> str | None:
    """Make one configuration and run it, in the working folder.

    Args:
        seed: Of all choices.

    Returns:
        None where it ran or was refused as documented; else what happened, in a line.
    """
    chosen = random.Random(seed)
    command = chosen.choice(("compare", "compare", "compare", "trajectory", "layers"))
    base = chosen.choice(BASES.get(command, BASES["compare"]))
    words: list[str] = []
    if chosen.random() < 0.7:
        document = mutate_data(base, chosen)
        content = yaml.safe_dump(_dumpable(document), allow_unicode=True).encode("utf-8", "replace")
    else:
        content = mutate_bytes(yaml.safe_dump(base, sort_keys=False).encode(), chosen)
    for _ in range(chosen.choice((0, 0, 0, 0, 0, 1, 2))):
        path = ".".join(
            chosen.choices([*COMPARE, "kind", "path", "0", "9", "x"], k=chosen.choice((1, 2)))
        )
        words += ["--set", f"{path}={chosen.choice(JUNK)}"]
    Path("c.yaml").write_bytes(content)
    if command != "layers":
        words += ["--out", "result", "--overwrite"]
        words += ["--dry-run"] if chosen.random() < 0.95 else []
    return _run([command, "c.yaml", *words])


def _run(words: Sequence[str]) -> str | None:
    out, error = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            code = hooksim(words)
    except BaseException as crash:
        if isinstance(crash, KeyboardInterrupt):
            raise
        return f"{type(crash).__name__} came through: {crash}"
    finally:
        sys.modules.pop("fuzzed_models", None)
    said = error.getvalue()
    last = said.rstrip("\n").rpartition("\n")[2]
    left = [each.name for each in Path().glob(".hooksim-*")]
    if left:
        return f"left behind: {left}"
    if code == 0:
        return None
    if code not in (1, 2):
        return f"exit code {code}: {last}"
    if "Traceback" in said or not said.strip():
        return f"a traceback, or nothing said: {said[-300:]}"
    if "(-v shows where)" in last and not THEIRS_TO_MEND.search(last):
        return f"not worded: {last}; {_where(words)}"
    return None


def _where(words: Sequence[str]) -> str:
    """Run it again and name the last place of ours that it went through."""
    error = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(error):
        hooksim(["-v", *words])
    sys.modules.pop("fuzzed_models", None)
    frames = re.findall(r'File ".*/(hooksim/[\w/]+\.py)", line (\d+)', error.getvalue())
    return ":".join(frames[-1]) if frames else "nowhere of ours"


def _dumpable(data: Any) -> Any:
    """What YAML can hold: huge whole numbers only as texts."""
    if isinstance(data, dict):
        return {_dumpable(key): _dumpable(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_dumpable(each) for each in data]
    if isinstance(data, str):
        return data.encode("utf-8", "replace").decode()
    return data

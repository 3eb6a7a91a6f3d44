"""Files of weights with random damage: refused in one line, whatever the libraries raise."""

import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from hooksim.errors import HooksimError
from hooksim.loading.weights import read_state
from scripts.fuzzing.mutations import mutate_bytes

STATE = {"0.weight": torch.ones(6, 4), "0.bias": torch.ones(6)}


@pytest.mark.parametrize("form", ["zip", "old", "safetensors"])
def test_random_damage(form: str, tmp_path: Path) -> None:
    file = tmp_path / f"w.{'safetensors' if form == 'safetensors' else 'pt'}"
    if form == "safetensors":
        save_file(STATE, file)
    else:
        torch.save(STATE, file, _use_new_zipfile_serialization=form == "zip")
    good, refused = file.read_bytes(), 0
    for seed in range(150):
        file.write_bytes(mutate_bytes(good, random.Random(seed)))
        try:
            read_state(str(file))
        except HooksimError as error:
            refused += 1
            assert str(file) in str(error) and "\n" not in str(error)
    assert refused > 20

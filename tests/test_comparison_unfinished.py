"""The files of a run that is not finished."""

import subprocess
import sys

import torch

from hooksim.comparison.unfinished import Unfinished


def test_tensors_that_share_memory_are_kept(tmp_path):
    place = Unfinished(tmp_path)
    rows = torch.arange(12.0).view(4, 3)
    given = {"all": rows, "part": rows[1:3], "turned": rows.mT, "none": rows[:0]}
    place.write(0, {"n_samples": 4}, given)
    found = place.read(0)
    assert found.about["n_samples"] == 4 and place.read(1) is None
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in given.items())
    place.clear()
    assert not place.is_there


def test_what_writes_is_loaded_beforehand():
    """Else the first saving would seem to take long, and the next would come late."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from hooksim.comparison.unfinished import Unfinished\n"
        "Unfinished(Path('x')).make_ready()\n"
        "assert {'safetensors.torch', 'numpy.ctypeslib'} <= sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

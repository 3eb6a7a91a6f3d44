"""What two processes of a training say to each other; light, since each of them imports it anew."""

from pathlib import Path

import torch
from torch import distributed, nn

from hooksim.callbacks.history import History
from hooksim.callbacks.watch import Watch
from hooksim.errors import ConfigError
from hooksim.probe import Probe


def say_what_is_overdue(rank: int, folder: str) -> None:
    """Write down what one of them takes for overdue, and refuses; each has files of its own."""
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    own = Path(folder) / str(rank)
    if rank:
        History(own / "hooksim").append({"step": 12})
    watch = Watch(Probe([torch.randn(8, 3)], reference=nn.Linear(3, 2)), "save", pictures=False)
    watch.begin(own, 12, writes=rank == 0)
    Path(folder, f"said-{rank}").write_text(str(watch.overdue))
    other = Probe([torch.randn(8, 3)], reference=nn.Linear(3, 2), block_size=4)
    try:
        Watch(other, "save", pictures=False).begin(own, 24, writes=rank == 0)
    except ConfigError as error:
        Path(folder, f"refused-{rank}").write_text(str(error))
    distributed.destroy_process_group()

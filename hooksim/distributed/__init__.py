"""Comparisons that several processes make together; nothing else knows of ranks."""

from hooksim.distributed.group import process_group, processes_together
from hooksim.distributed.processes import Processes
from hooksim.distributed.shares import is_dealt_out, number_of_shares

__all__ = [
    "Processes",
    "is_dealt_out",
    "number_of_shares",
    "process_group",
    "processes_together",
]

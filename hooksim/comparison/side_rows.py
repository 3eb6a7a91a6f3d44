"""Which row policy holds for each side: what is asked, or what a recording already has."""

from collections.abc import Sequence
from typing import NamedTuple

from hooksim.capture.rows import Rows
from hooksim.comparison.options import Options
from hooksim.errors import Note
from hooksim.recording import Recording
from hooksim.sides import Side

__all__ = ["SideRows", "side_rows"]


class SideRows(NamedTuple):
    """The row policies of the sides.

    Attributes:
        rows: One for each side.
        notes: That the models follow the recordings.
        warnings: That the recordings have different policies.
    """

    rows: list[Rows]
    notes: list[Note]
    warnings: list[Note]


def side_rows(sources: Sequence[Side], roles: Sequence[str], options: Options) -> SideRows:
    """Choose the row policies: where none is asked, models follow the recordings beside them.

    Args:
        sources: Models and recordings.
        roles: For each whether the option for `a` or for `b` holds.
        options: How to compare; a pair of policies is taken as it is.

    Returns:
        The policies, and what to say of them.
    """
    asked = [options.rows_of["ab".index(role)] for role in roles]
    held = [each.rows for each in sources if isinstance(each, Recording) and each.rows is not None]
    # Which output, mask or dimension is the business of each model; the policy is of both.
    taken = list(dict.fromkeys(Rows(each.policy, each.normalize) for each in held))
    own = isinstance(options.rows, tuple | list) or options.rows_of[0] != Rows()
    if own or not taken or taken == [Rows()]:
        return SideRows(asked, [], [])
    if len(taken) > 1:
        text = (
            f"rows: the recordings hold rows by different policies ({_listed(taken)}), which are "
            "compared as they are. Record both by one policy."
        )
        return SideRows(asked, [], [Note("different_rows", text)])
    if all(isinstance(each, Recording) for each in sources):
        return SideRows(asked, [], [])
    followed = [
        rows if isinstance(each, Recording) else taken[0]
        for each, rows in zip(sources, asked, strict=True)
    ]
    text = f"rows: {_listed(taken)} for the model too, as recorded; a pair gives each side its own."
    return SideRows(followed, [Note("rows_as_recorded", text)], [])


def _listed(policies: Sequence[Rows]) -> str:
    return ", ".join(repr(each.policy) + ", normalized" * each.normalize for each in policies)

"""Long tables for pandas, which may not be installed."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hooksim.errors import HooksimError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["long_table"]


def long_table(rows: Iterable[tuple[Any, ...]], columns: Sequence[str]) -> "pd.DataFrame":
    """Make a pandas table.

    Args:
        rows: One tuple a line.
        columns: Names of the columns.

    Returns:
        The table.

    Raises:
        HooksimError: pandas is not installed.

    Example:
        >>> long_table([("cka", 1.0)], ["measure", "value"]).shape
        (1, 2)
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise HooksimError(
            "to_pandas needs pandas, which is not installed: pip install 'hooksim[frames]'"
        ) from error
    return pd.DataFrame(list(rows), columns=list(columns))

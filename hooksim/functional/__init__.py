"""Pure functions of tensors: the formulas of the measures, without state.

The public ones are imported at once, because the files bear their functions' names.
"""

from hooksim.functional.cka import cka
from hooksim.functional.gram import centre, gram
from hooksim.functional.hsic import hsic
from hooksim.functional.information_imbalance import information_imbalance

__all__ = ["centre", "cka", "gram", "hsic", "information_imbalance"]

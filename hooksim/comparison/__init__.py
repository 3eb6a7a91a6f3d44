"""Two models, or pairs of many: checked, run, named, and what the parts noted said aloud."""

from hooksim.comparison.compare import compare, compare_two
from hooksim.comparison.engine import Compared, compare_sides
from hooksim.comparison.options import Options

__all__ = ["Compared", "Options", "compare", "compare_sides", "compare_two"]

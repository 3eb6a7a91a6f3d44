"""The architecture's gates on this repository, and for each a proof that it can fail."""

import subprocess
from pathlib import Path

import pytest

from tests import architecture as gates

ROOT = Path(__file__).parents[1]


def sources(*folders: str) -> dict[str, str]:
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


PACKAGE = sources("hooksim")
EVERYTHING = sources("hooksim", "scripts", "tests")


def no_faults(faults: list[str]) -> None:
    assert not faults, "\n" + "\n".join(faults)


class TestThisRepository:
    def test_the_package_was_found(self):
        assert {"hooksim/__init__.py", "hooksim/errors.py", "hooksim/functional/cka.py"} <= set(
            PACKAGE
        )
        assert "tests/test_architecture.py" in EVERYTHING

    def test_imports_point_down_the_table(self):
        no_faults(gates.import_faults(PACKAGE))

    def test_no_import_cycles(self):
        no_faults(gates.cycles(PACKAGE))

    def test_heavy_libraries_wait(self):
        no_faults(gates.heavy_faults(PACKAGE))

    def test_only_the_top_logs(self):
        no_faults(gates.logging_faults(PACKAGE))

    def test_file_ceiling(self):
        no_faults(gates.long_files(EVERYTHING))

    def test_body_ceiling(self):
        no_faults(gates.long_bodies(EVERYTHING))

    def test_exports(self):
        no_faults(gates.export_faults(PACKAGE))

    def test_docstrings(self):
        no_faults(gates.docstring_faults(PACKAGE))

    def test_imports_do_nothing(self):
        no_faults(gates.side_effects(PACKAGE))

    def test_names_say_something(self):
        no_faults(gates.forbidden_names(EVERYTHING))

    def test_top_level_of_the_repository(self):
        listed = subprocess.run(
            ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if listed.returncode or not listed.stdout:
            pytest.skip("not a checkout with files")
        top = {line.split("/")[0] for line in listed.stdout.splitlines()}
        allowed = {"pyproject.toml", "hooksim", "tests", "configs", "scripts", "README.md"}
        allowed |= {"LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "constraints.txt"}
        assert {name for name in top - allowed if not name.startswith(".")} == set()


def test_the_table_is_a_ladder():
    """Each row permits only rows above it."""
    above: set[str] = set()
    for name, unit in gates.TABLE.items():
        assert unit.permits <= above, name
        assert unit.deferred <= unit.permits, name
        above.add(name)


BASE = {
    "hooksim/__init__.py": "",
    "hooksim/errors.py": "",
    "hooksim/functional/__init__.py": "from hooksim.functional.cka import cka",
    "hooksim/functional/cka.py": "from hooksim.errors import ShapeError\ncka = 1",
    "hooksim/blocks.py": "",
    "hooksim/capture/rows.py": "",
    "hooksim/capture/slices.py": "from .rows import Rows",
    "hooksim/plotting.py": "",
    "hooksim/cli/__init__.py": "from hooksim.blocks import Block",
}


class TestImportTable:
    """Each kind of fault is found in a small tree; each permitted form is not."""

    def faults(self, path: str, text: str) -> list[str]:
        return gates.import_faults({**BASE, path: text})

    @pytest.mark.parametrize(
        ("path", "text"),
        [
            ("hooksim/blocks.py", "from hooksim.functional.cka import cka"),
            ("hooksim/blocks.py", "from hooksim.functional import cka"),
            ("hooksim/blocks.py", "import hooksim.errors"),
            ("hooksim/accumulators/order.py", "from ..blocks import Block"),
            ("hooksim/results.py", "def plot():\n    from hooksim.plotting import draw"),
            ("hooksim/results/matrix.py", "def plot():\n    from hooksim.plotting import draw"),
            ("hooksim/__init__.py", "if TYPE_CHECKING:\n    from hooksim.blocks import Block"),
            ("hooksim/__main__.py", "from hooksim.cli import main"),
            ("hooksim/trajectory.py", "from hooksim.results import Comparison"),
        ],
    )
    def test_permitted(self, path, text):
        assert self.faults(path, text) == []

    @pytest.mark.parametrize(
        ("path", "text", "fault"),
        [
            (
                "hooksim/functional/hsic.py",
                "import hooksim.blocks",
                "functional may not import blocks",
            ),
            (
                "hooksim/capture/rows.py",
                "from hooksim.blocks import B",
                "capture may not import blocks",
            ),
            ("hooksim/capture/rows.py", "from ..blocks import B", "capture may not import blocks"),
            ("hooksim/capture/rows.py", "from .. import blocks", "capture may not import blocks"),
            (
                "hooksim/blocks.py",
                "def f():\n    from hooksim.capture.rows import Rows",
                "blocks may not import capture",
            ),
            (
                "hooksim/blocks.py",
                "if TYPE_CHECKING:\n    from hooksim.capture.rows import Rows",
                "blocks may not import capture",
            ),
            ("hooksim/results.py", "import hooksim.plotting", "inside a function only"),
            (
                "hooksim/results.py",
                "from hooksim.capture import rows",
                "results may not import capture",
            ),
            (
                "hooksim/comparison.py",
                "from hooksim.cli import main",
                "comparison may not import cli",
            ),
            ("hooksim/blocks.py", "import hooksim", "imports the package root"),
            ("hooksim/blocks.py", "from hooksim import __version__", "imports the package root"),
            ("hooksim/cli/run.py", "import hooksim", "imports the package root"),
            (
                "hooksim/__init__.py",
                "from hooksim.blocks import Block",
                "root imports hooksim.blocks",
            ),
            ("hooksim/helpful.py", "", "no row 'helpful' in the import table"),
        ],
    )
    def test_refused(self, path, text, fault):
        (found,) = self.faults(path, text)
        assert fault in found
        assert found.startswith(path)


@pytest.mark.parametrize(
    ("text", "cyclic"),
    [
        ("from hooksim.a import x", True),
        ("def f():\n    import hooksim.a", True),
        ("if TYPE_CHECKING:\n    import hooksim.a", False),
        ("import torch", False),
    ],
)
def test_cycles_are_found(text, cyclic):
    tree = {
        "hooksim/a.py": "import hooksim.b",
        "hooksim/b.py": "import hooksim.c",
        "hooksim/c.py": text,
        "hooksim/d.py": "import hooksim.a",
    }
    assert gates.cycles(tree) == (["hooksim.a", "hooksim.b", "hooksim.c"] if cyclic else [])


def found(gate, text: str, path: str = "hooksim/capture/rows.py") -> list[str]:
    return gate({path: text})


def test_heavy_imports_are_found():
    for text in ("import matplotlib.pyplot as plt", "try:\n    import pandas\nexcept E:\n    pass"):
        assert len(found(gates.heavy_faults, text)) == 1
    for text in (
        "def f():\n    import pandas",
        "if TYPE_CHECKING:\n    import pandas",
        "import numpy",
    ):
        assert not found(gates.heavy_faults, text)
    assert not found(gates.heavy_faults, "import pydantic", "hooksim/cli/config.py")
    assert found(gates.heavy_faults, "import pydantic", "hooksim/callbacks/lightning.py")


def test_logging_is_found():
    assert found(gates.logging_faults, "import logging")
    assert found(gates.logging_faults, "def f():\n    from logging import getLogger")
    assert not found(gates.logging_faults, "import logging", "hooksim/comparison.py")


def test_long_files_are_found():
    assert not found(gates.long_files, "x = 1\n" * 400)
    assert found(gates.long_files, "x = 1\n" * 401) == ["hooksim/capture/rows.py: 401 lines"]


@pytest.mark.parametrize("head", ["def f():", "async def f():", "class A:\n  def f(self):"])
def test_long_bodies_are_found(head):
    body = "      x = 1\n"
    assert not found(gates.long_bodies, f"{head}\n{body * 40}")
    assert not found(gates.long_bodies, f"{head}\n      '''Doc.\n\n      More.'''\n{body * 40}")
    (fault,) = found(gates.long_bodies, f"{head}\n      '''Doc.'''\n{body * 41}")
    assert fault.endswith("f has 41 lines")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("x = 1", "no __all__"),
        ("__all__ = []\ndef shown(): pass", "shown is not in __all__"),
        ("__all__ = []\nclass Shown: pass", "Shown is not in __all__"),
        ("__all__ = ['gone']", "__all__ lists gone, which is not there"),
        ("__all__ = ['x', 'x']\nx = 1", "__all__ lists a name twice"),
    ],
)
def test_wrong_exports_are_found(text, fault):
    (got,) = found(gates.export_faults, text)
    assert fault in got


def test_right_exports_are_left_alone():
    text = "__all__ = ['A', 'b', 'f']\nfrom m import A\nb: int = 1\ndef f(): pass\ndef _g(): pass"
    assert not found(gates.export_faults, text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 1),
        ("'''Doc.'''\ndef f(): pass", 1),
        ("'''Doc.'''\nclass A:\n    def f(self): pass", 2),
        ("'''Doc.'''\nclass A:\n    '''Doc.'''\n    def f(self): pass\n    def _g(self): pass", 1),
        ("'''Doc.'''\nclass _A:\n    def f(self): pass", 0),
        ("'''Doc.'''\n@overload\ndef f(): pass", 0),
    ],
)
def test_missing_docstrings_are_found(text, count):
    assert len(found(gates.docstring_faults, text)) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("'''Doc.'''\nimport a\nx = 1\ny: int = 2\ndef f(): pass", 0),
        ("if TYPE_CHECKING:\n    import a", 0),
        ("if __name__ == '__main__':\n    main()", 0),
        ("plt.ion()", 1),
        ("for x in y: pass", 1),
        ("if x:\n    import a", 1),
        ("x = 1\n'''What x is.'''", 0),
    ],
)
def test_side_effects_are_found(text, count):
    assert len(found(gates.side_effects, text)) == count


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("hooksim/utils.py", True),
        ("hooksim/capture/helpers.py", True),
        ("hooksim/common/rows.py", True),
        ("tests/_utils.py", True),
        ("hooksim/capture/rows.py", False),
    ],
)
def test_empty_names_are_found(path, refused):
    assert bool(gates.forbidden_names({path: ""})) == refused

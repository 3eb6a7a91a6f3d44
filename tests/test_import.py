"""What importing loads and changes, seen from fresh interpreters."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import hooksim

ROOT = Path(__file__).parents[1]
HEAVY = ("transformers", "matplotlib", "lightning", "pandas", "pydantic", "yaml", "sklearn")
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "hooksim").rglob("*.py")
    if path.stem != "__main__"
)


def fresh(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter, without the tests' own settings."""
    settings = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env=settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def loaded_by(code: str, *names: str) -> list[str]:
    """Which of the named libraries are loaded after the code has run."""
    report = "import sys; print(*[name for name in sys.argv[1:] if name in sys.modules])"
    done = fresh(f"{code}\n{report}", *names)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()


def test_the_package_alone_loads_nothing():
    assert loaded_by("import hooksim", "torch", "numpy", *HEAVY) == []


def test_compare_waits_for_heavy_libraries():
    assert loaded_by("import hooksim; hooksim.compare", *HEAVY) == []


@pytest.mark.parametrize("name", hooksim.__all__)
def test_every_public_name_is_there(name):
    assert getattr(hooksim, name) is not None
    assert name in dir(hooksim)


def test_public_names_in_one_interpreter():
    """None of them needs a heavy library, whatever else was used before."""
    assert loaded_by("import hooksim\nfor n in hooksim.__all__: getattr(hooksim, n)", *HEAVY) == []


def test_help_does_not_load_torch():
    code = """
import sys
from hooksim.__main__ import main
sys.argv = ["hooksim", "--help"]
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
"""
    assert loaded_by(code, "torch", *HEAVY) == []


def test_the_probe_sees_what_is_loaded():
    assert loaded_by("import yaml", "torch", "yaml") == ["yaml"]


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="module 'hooksim' has no attribute 'compair'"):
        _ = hooksim.compair


SETTINGS = """
import logging, random, signal, sys, warnings
import numpy, torch

def settings():
    return {
        "grad": torch.is_grad_enabled(), "dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(), "matmul": torch.get_float32_matmul_precision(),
        "random": hash(str(torch.get_rng_state().sum())), "python": hash(random.getstate()),
        "numpy": numpy.random.get_state()[2], "errors": numpy.geterr(),
        "filters": len(warnings.filters), "handlers": list(logging.root.handlers),
        "hooks": (sys.excepthook, sys.displayhook, signal.getsignal(signal.SIGINT)),
        "pyplot": "matplotlib.pyplot" in sys.modules,
    }
"""


ONE_BY_ONE = """
import contextlib, importlib, io, sys
for module in sys.argv[1:]:
    for name in [name for name in sys.modules if name.split(".")[0] == "hooksim"]:
        del sys.modules[name]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            importlib.import_module(module)
        except Exception as error:
            print(repr(error))
    if said.getvalue():
        print(module, "-", said.getvalue().strip())
"""


def test_each_module_imports_alone_and_says_nothing():
    """No module needs another one to have been imported before it."""
    done = fresh(ONE_BY_ONE, *MODULES)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_noisy_and_broken_modules_are_heard():
    done = fresh(ONE_BY_ONE, "this", "no_such_module")
    assert "this - The Zen of Python" in done.stdout
    assert "no_such_module - ModuleNotFoundError" in done.stdout


def changed_by(code: str) -> str:
    """The settings of the process that the code changes."""
    check = "after = settings(); print(*[n for n in before if before[n] != after[n]])"
    # Libraries bring settings of their own; what is asked is what this package adds to them.
    libraries = "import tensordict, tensordict.nn"
    done = fresh(f"{libraries}\n{SETTINGS}\nbefore = settings()\n{code}\n{check}")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_imports_change_no_setting():
    light = [name for name in MODULES if ".cli" not in name and ".callbacks" not in name]
    assert changed_by("import " + ", ".join(light)) == ""


def test_the_settings_are_watched():
    assert changed_by("torch.manual_seed(3); torch.set_grad_enabled(False)") == "grad random"

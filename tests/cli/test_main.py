"""Exit codes, one line for every error, what goes where."""

import logging
import os
import signal
import subprocess
import sys

import pytest

from hooksim.cli.main import main
from hooksim.errors import HooksimError


@pytest.fixture
def failing(folder, monkeypatch):
    """`hooksim layers x`, which ends as the test says."""

    def fails_with(error):
        def run(_options):
            raise error

        monkeypatch.setattr("hooksim.cli.layers.run", run)

    return fails_with


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (HooksimError("something"), 1, "HooksimError: something\n"),
        (RuntimeError("one\ntwo"), 1, "RuntimeError: one (-v shows where)\n"),
        (RuntimeError(), 1, "RuntimeError: RuntimeError (-v shows where)\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_one_line_and_the_code(failing, capsys, error, code, line):
    failing(error)
    assert main(["layers", "x"]) == code
    assert capsys.readouterr() == ("", line)


def test_the_traceback_is_there_when_asked_for(failing, capsys):
    failing(RuntimeError("one"))
    assert main(["layers", "x", "-v"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("Traceback (most recent call last)")
    assert error.endswith("RuntimeError: one (-v shows where)\n")


def test_notes_on_where_it_happened_are_in_the_line(failing, capsys):
    error = RuntimeError("one\ntwo")
    error.add_note("in the forward pass of model A (BertModel), batch 0")
    failing(error)
    assert main(["layers", "x"]) == 1
    line = "RuntimeError: one; in the forward pass of model A (BertModel), batch 0"
    assert capsys.readouterr().err == f"{line} (-v shows where)\n"


def test_sigterm(folder, monkeypatch, capsys):
    put_away = []

    def run(_options):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            put_away.append(True)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("hooksim.cli.layers.run", run)
    assert main(["layers", "x"]) == 143
    assert capsys.readouterr() == ("", "terminated\n")
    assert put_away == [True]
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "hooksim: the following arguments are required: COMMAND; see hooksim --help"),
        (["compar"], ", did you mean 'compare'; see hooksim --help"),
        (["compare"], "hooksim compare: the following arguments are required: CONFIG"),
        (["compare", "c.yaml", "--overwrit", "x"], "unrecognized arguments: x"),
        (["compare", "c.yaml", "--again"], "unrecognized arguments: --again"),
        (["layers", "a", "b"], "hooksim layers: unrecognized arguments: b; see hooksim layers"),
        (["compare", "c.yaml", "--ouput", "x"], "--ouput x, did you mean '--out'; see"),
        (["compare", "a", "b"], "arguments: b; expected one configuration, a YAML file that names"),
        (["compare", "c.yaml", "--set", "rows=[mean,", "last]"], "last]; a change with blanks needs quotes: --set 'KEY.PATH=VALUE'; see"),  # noqa: E501
        (["layers", "c.yaml", "--set", "rows", "cls"], "cls; a change is one argument: --set KEY.PATH=VALUE; see"),  # noqa: E501
    ],
)  # fmt: skip
def test_wrong_usage_is_one_line(folder, capsys, words, line):
    assert main(words) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert line in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["compare", "--help"]])
def test_what_is_asked_for_is_no_error(capsys, words):
    assert main(words) == 0
    assert capsys.readouterr().out


def test_notes_are_worded_for_those_who_write_yaml(folder, monkeypatch, capsys):
    def run(_options):
        logging.getLogger("hooksim").info("Rows(output_index=...) takes another, stop_early=False.")

    monkeypatch.setattr("hooksim.cli.layers.run", run)
    assert main(["layers", "x"]) == 0
    line = "rows: {output_index: ...} takes another, stop_early: false.\n"
    assert capsys.readouterr() == ("", line)


def test_the_log_is_as_before(folder, capsys):
    logger = logging.getLogger("hooksim")
    before = logger.level, list(logger.handlers)
    main(["layers", "nowhere/at/all"])
    assert (logger.level, logger.handlers) == before


def test_help_imports_nothing_heavy():
    heavy = ["torch", "transformers", "matplotlib", "pandas", "pydantic", "yaml", "sklearn"]
    program = (
        "import sys; from hooksim.cli.main import main; code = main(['--help']); "
        f"sys.exit(code or str([name for name in {heavy} if name in sys.modules] or ''))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == ""
    assert "compare" in done.stdout


def test_the_module_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "hooksim", "nothing"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("hooksim: argument COMMAND: invalid choice: 'nothing'")

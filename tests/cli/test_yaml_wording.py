"""Python's arguments as keys of a file."""

import pytest

from hooksim.cli.yaml_wording import in_yaml


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Leave device=None to run it.", "Leave device: null to run it."),
        ("Use stop_early=False.", "Use stop_early: false."),
        ("that side: rows=(A's, B's).", "that side: rows: [A's, B's]."),
        ("allow_missing=['a.b', 'c'] accepts", "allow_missing: ['a.b', 'c'] accepts"),
        ("Use rows='mean' or 'cls'.", "Use rows: 'mean' or 'cls'."),
        ("take rows=hooksim.Rows(batch_dim=1).", "take rows: {batch_dim: 1}."),
        ("Rows(output_index=...) takes another", "rows: {output_index: ...} takes another"),
        ("forward=lambda model, batch: model(batch)", "forward=lambda model, batch: model(batch)"),
        ("kwargs: f() got seed=3", "kwargs: f() got seed=3"),
    ],
)
def test_wording(message, expected):
    keys = ["allow_missing", "device", "forward", "rows", "stop_early"]
    assert in_yaml(message, keys) == expected


def test_the_command_speaks_yaml(folder, capsys):
    from hooksim.cli.main import main

    assert main(["compare", "c.yaml", "--set", "device=cuda:99"]) == 2
    error = capsys.readouterr().err
    assert error.endswith("Leave device: null to run every model where it is.\n")
    assert (
        main(
            [
                "compare",
                "c.yaml",
                "--set=pairs=same_name",
                "--set=layers_a='1'",
                "--set=layers_b='2'",
            ]
        )
        == 2
    )
    error = capsys.readouterr().err
    assert error.startswith("c.yaml: pairs: 'same_name': no layer has the same name")

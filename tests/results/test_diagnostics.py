"""The table that the diagnostics print as."""

import math

from hooksim.results.diagnostics import DiagnosticsTable, LayerDiagnostics, layer_diagnostics

ENTRY = LayerDiagnostics("encoder.0", 1024, 7.031251234, 12.5123, 0.0, 0.00912345, math.nan)


def test_an_entry_says_three_digits():
    assert repr(ENTRY) == (
        "LayerDiagnostics(layer='encoder.0', width=1,024, rows_per_dimension=7.03, "
        "participation_ratio=12.5, duplicate_rows=0, largest_share=0.00912, order=nan)"
    )


def test_a_line_for_each_layer():
    lines = repr(DiagnosticsTable([ENTRY, ENTRY._replace(layer="head", order=1.04)])).splitlines()
    assert [line.split()[0] for line in lines] == ["layer", "encoder.0", "head"]
    assert lines[0].endswith("  order F")
    assert (lines[1].split()[-1], lines[2].split()[-1]) == ("-", "1.04")
    assert len({len(line) for line in lines}) == 1


def test_it_is_a_list():
    assert layer_diagnostics({}, "a") == []
    assert DiagnosticsTable([ENTRY])[0] is ENTRY

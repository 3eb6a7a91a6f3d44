"""A process that fails where the others wait for what it would have sent ends them all the same."""

import pytest


@pytest.mark.parametrize("rank", [0, 1])
def test_the_others_hear_why(in_processes, rank):
    job = {"n": 200, "stuck": rank, "unit": 20, "options": {"block_size": "all"}}
    for told in in_processes(2, [job]):
        (kind, name, text, _), _, _ = told[0]
        assert (kind, name) == ("error", "HooksimError")
        assert text.startswith("out of memory (7.5 GiB more were asked for)")

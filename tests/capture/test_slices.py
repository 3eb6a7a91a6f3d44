from hooksim.capture.slices import BatchPosition


def test_a_position_reads_well_in_a_message():
    assert str(BatchPosition(3, 96)) == "batch 3 (first sample 96)"

from hooksim.capture.spelling import close_names


def test_nothing_close_says_nothing():
    assert close_names("zzz", ["layer1", "layer2"]) == ""


def test_at_most_three_names_each_once():
    assert close_names("layer", ["layer1"] * 2 + ["layer2", "layer3", "layer4"]).count("'") == 6

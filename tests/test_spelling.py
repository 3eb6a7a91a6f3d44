import pytest

from hooksim.spelling import close_names, did_you_mean


def test_nothing_close_says_nothing():
    assert close_names("zzz", ["layer1", "layer2"]) == ""
    assert did_you_mean("zzz", ["layer1", "layer2"]) == ""


def test_at_most_three_names_each_once():
    assert close_names("layer", ["layer1"] * 2 + ["layer2", "layer3", "layer4"]).count("'") == 6


@pytest.mark.parametrize("word", ["RELU", "relu", "ReLu"])
def test_capital_letters_do_not_matter(word):
    assert did_you_mean(word, ["ELU", "SELU", "ReLU"]) == ", did you mean 'ReLU'?"
    assert close_names(word, ["ReLU", "Linear"]) == "Close names: 'ReLU'. "


def test_names_that_differ_in_capitals_only_are_both_said():
    assert close_names("rel", ["ReLU", "relu"]) == "Close names: 'ReLU', 'relu'. "

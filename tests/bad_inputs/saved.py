"""Results, recordings and checkpoints that are damaged, newer, or something else."""

import shutil
from pathlib import Path

import numpy as np
import torch

from tests.bad_inputs.case import OTHER, Bad, compare
from tests.bad_inputs.folder import arrays, cut, edit, flip, malicious_weights, write

RUN = ["trajectory", "run.yaml"]
HEATMAP, REPORT = ["heatmap", "saved"], ["report", "saved"]
DESCRIPTION = "saved/metadata.json"
RESULTS = {
    "nothing there": Bad(
        ["heatmap", "nowhere"], "'nowhere' does not exist. Expected the folder of"
    ),
    "no result": Bad(
        ["heatmap", "thesis"], "'thesis' is not a result of hooksim: it has no metada"
    ),
    "a recording": Bad(
        ["heatmap", "rows"], "'rows' is not a result of hooksim: metadata.json is o"
    ),
    "a file": Bad(
        ["report", "c.yaml"], "'c.yaml' is a file, expected the folder of a saved result"
    ),
    "cut off": Bad(
        HEATMAP,
        "HooksimError: the result in 'saved' is damaged: metadata.json is not valid JSON",
        OTHER,
        lambda: cut(DESCRIPTION, -9),
    ),
    "changed": Bad(
        REPORT,
        "HooksimError: the result in 'saved' is damaged: metadata.json is not what was wri",
        OTHER,
        lambda: edit(DESCRIPTION, n_samples=41),
    ),
    "a flipped bit": Bad(
        HEATMAP,
        "HooksimError: the result in 'saved' is damaged: matrices.safetensors is not what",
        OTHER,
        lambda: flip("saved/matrices.safetensors"),
    ),
    "no matrices": Bad(
        HEATMAP,
        "HooksimError: the result in 'saved' is damaged: matrices.safetensors is missing",
        OTHER,
        lambda: Path("saved/matrices.safetensors").unlink(),
    ),
    "newer": Bad(
        REPORT,
        "HooksimError: 'saved' was written by a newer hooksim (schema 9, this one reads",
        OTHER,
        lambda: edit(DESCRIPTION, schema_version=9),
    ),
    "no such measure": Bad([*HEATMAP, "--measure", "ck"], "--measure: 'saved' has 'cka', not 'ck'"),
    "no steps": Bad(
        [*HEATMAP, "--step", "3"], "--step: 'saved' holds one comparison, which has no"
    ),
    "no picture": Bad([*HEATMAP, "--out", "x.doc"], "--out: 'x.doc' has no ending of a picture: "),
    "a picture's name too long": Bad(
        [*HEATMAP, "--measure", "x" * 300], "--out: '...cannot be looked at: File name too long"
    ),
    "a picture that is there": Bad(
        [*HEATMAP, "--out", "x.png"],
        "--out: 'x.png' exists; --overwri",
        harm=lambda: write("x.png", "mine"),
    ),
    "a page that is none": Bad(
        ["report", "saved", "--out", "x.html"],
        "--out: 'x.html' exists",
        harm=lambda: write("x.html", "mine"),
    ),
    "no reference": Bad(
        [*REPORT, "--reference", "x"], "--reference: 'saved' is no watched run, wh"
    ),
}

OF_RECORDED = compare(config="recorded.yaml")
RECORDINGS = {
    "nothing there": Bad(
        compare("model_a.path=nowhere", config="recorded.yaml"),
        "recorded.yaml: model_a.path: 'nowhere' does not exist. Expected the folder of a recording",
    ),
    "a result": Bad(
        compare("model_a.path=saved", config="recorded.yaml"),
        "recorded.yaml: model_a.path: 'saved' is not a recording of hooksim: metadata.json is of a",
    ),
    "cut off": Bad(
        OF_RECORDED,
        "HooksimError: the recording in 'rows' is damaged: 0.bin holds 600 bytes, 640",
        OTHER,
        lambda: cut("rows/0.bin", 600),
    ),
    "no rows": Bad(
        OF_RECORDED,
        "HooksimError: the recording in 'rows' is damaged: 0.bin is missing",
        OTHER,
        lambda: Path("rows/0.bin").unlink(),
    ),
    "a flipped bit": Bad(
        OF_RECORDED,
        "HooksimError: the recording in 'rows' is damaged: 0.bin is not what was writ",
        OTHER,
        lambda: flip("rows/0.bin"),
    ),
    "changed": Bad(
        OF_RECORDED,
        "HooksimError: the recording in 'rows' is damaged: metadata.json",
        OTHER,
        lambda: edit("rows/metadata.json", model="other"),
    ),
    "newer": Bad(
        OF_RECORDED,
        "HooksimError: 'rows' was written by a newer hooksim (schema 9, this one read",
        OTHER,
        lambda: edit("rows/metadata.json", schema_version=9),
    ),
    "looked at": Bad(
        ["layers", "rows"],
        "HooksimError: the recording in 'rows' is damaged: metadata.json is no",
        OTHER,
        lambda: cut("rows/metadata.json", 50),
    ),
    "more samples": Bad(
        OF_RECORDED,
        "AlignmentError: the recordings hold 40 and 30 samples. Both must be of the same sa",
        OTHER,
        lambda: arrays(points=np.ones((30, 4))),
    ),
    "features that are not finite": Bad(
        OF_RECORDED,
        "recorded.yaml: model_b.path: points.npz: layer 'points'",
        harm=lambda: arrays(points=np.full((40, 4), np.inf)),
    ),
    "features of three axes": Bad(
        OF_RECORDED,
        "recorded.yaml: model_b.path: points.npz: ",
        harm=lambda: arrays(points=np.ones((40, 2, 2))),
    ),
}

CHECKPOINTS = {
    "none": Bad(
        [*RUN, "--set", "checkpoints=thesis"], "run.yaml: checkpoints.path: 'thesis' holds"
    ),
    "no folder": Bad(
        [*RUN, "--set", "checkpoints=nowhere"], "run.yaml: checkpoints.path: no folder"
    ),
    "no file": Bad(
        [*RUN, "--set", "checkpoints.weights=x*.pt"], "run.yaml: checkpoints.weights: no"
    ),
    "every none": Bad(
        [*RUN, "--set", "checkpoints.every=0"], "run.yaml: checkpoints.every: expecte"
    ),
    "reference": Bad(
        [*RUN, "--set", "reference=frist"], "run.yaml: reference: expected first, last"
    ),
    "key of compare": Bad([*RUN, "--set", "model_a=x"], "run.yaml: model_a: unknown key"),
    "one with code": Bad(
        RUN,
        "...'run/step-2.pt' holds more than tensors and could run code; it is refused",
        harm=lambda: malicious_weights("run/step-2.pt"),
    ),
    "one cut off": Bad(RUN, "...'run/step-2.pt'", OTHER, lambda: cut("run/step-2.pt", -50)),
    "one of another model": Bad(
        RUN,
        "MissingWeightsError: ...'run/step-2.pt'",
        OTHER,
        lambda: torch.save({"x": torch.ones(1)}, "run/step-2.pt"),
    ),
    "two with one step": Bad(
        RUN, "run.yaml: ", harm=lambda: shutil.copy("run/step-2.pt", "run/other-2.pt")
    ),
}

"""What is wrong on the command line, in a configuration, or with where the result shall go."""

from typing import Any

from tests.bad_inputs.case import Bad, compare
from tests.bad_inputs.folder import flip, write


def text(content: str | bytes) -> dict[str, Any]:
    """A whole configuration."""
    return {"words": ["compare", "c.yaml"], "harm": lambda: write("c.yaml", content)}


LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}]\n" for i in range(40))
MERGES = "a0: &a0 {x: 1, y: 2}\n" + "".join(
    f"a{i + 1}: &a{i + 1} {{<<: [{', '.join([f'*a{i}'] * 9)}]}}\n" for i in range(9)
)
PYTHON = '!!python/object/apply:os.system ["touch was-run"]'
COMMAND_LINE = {
    "no command": Bad(
        [], "hooksim: the following arguments are required: COMMAND; see hooksim --h"
    ),
    "unknown command": Bad(["compair"], "hooksim: ...invalid choice: 'compair'...did you mean"),
    "unknown option": Bad(
        ["compare", "c.yaml", "--fast"],
        "hooksim compare: unrecognized arguments: --fast...see hooksim compare --",
    ),
    "no config": Bad(["compare"], "hooksim compare: the following arguments are required: CONFIG"),
    "set without value": Bad(compare("rows"), "--set 'rows': expected key.path=value"),
    "set through a value": Bad(
        compare("output.x=1"), "--set 'output.x=1': output is 'result', not"
    ),
    "set to no YAML": Bad(compare("rows=[1"), "--set 'rows=[1': the value is not YAML: line 1: "),
    "set to a bomb": Bad(compare(f"rows={PYTHON}"), "--set ...could not determine a constructor"),
}

CONFIGS = {
    "no file": Bad(["compare", "no.yaml"], "no.yaml: cannot be read: No such file or directory"),
    "a folder": Bad(
        ["compare", "run"], "run: is a folder, expected a configuration: a YAML file that names"
    ),
    "a name too long": Bad(["compare", "x" * 999 + ".yaml"], "xxx...cannot be read: File name too"),
    "bytes": Bad(**text(b"\xff\xfe\x00"), line="c.yaml: cannot be read: not a text file"),
    "nothing": Bad(**text(""), line="c.yaml: expected a mapping of keys at the top, got nothing"),
    "a list": Bad(**text("- a\n"), line="c.yaml: expected a mapping of keys at the top, got list"),
    "syntax": Bad(**text("a: [1\n"), line="c.yaml: line 2: expected ',' or ']'"),
    "key twice": Bad(**text("a: 1\na: 2\n"), line="c.yaml: line 2: key 'a' stands twice in one"),
    "python tag": Bad(**text(f"a: {PYTHON}\n"), line="c.yaml: line 1: could not determine a const"),
    "many aliases": Bad(**text(LAUGHS), line="c.yaml: holds more than 100,000 values, its aliase"),
    "many merges": Bad(**text(MERGES), line="c.yaml: holds more than 100,000 values, its aliases"),
    "too deep": Bad(
        **text("a: " + "[" * 300 + "]" * 300), line="c.yaml: is nested more than 50 levels deep"
    ),
    "holds itself": Bad(**text("a: &a [*a]\n"), line="c.yaml: is nested more than 50 levels deep,"),
    "too large": Bad(**text("a: " + "x" * (1 << 20)), line="c.yaml: is larger than 1,048,576 byt"),
    "no date": Bad(**text("a: 2026-13-45\n"), line="c.yaml: a value is not what its form or its"),
    "misspelt key": Bad(compare("dta=1"), "c.yaml: dta: unknown key, did you mean 'data'?"),
    "key that is a number": Bad(**text("1: 2\n"), line="c.yaml: 1: unknown key"),
    "key of another command": Bad(["trajectory", "c.yaml"], "c.yaml: model_a: a key of `hooksim c"),
    "no model": Bad(compare("model_b=null"), "c.yaml: model_b: expected a mapping such as {kind: "),
    "no data": Bad(compare("data=null"), "c.yaml: data: missing"),
    "data of recorded sides": Bad(
        compare("data={kind: digits}", config="recorded.yaml"),
        "recorded.yaml: data: expected none for two recorded sides",
    ),
    "kind": Bad(compare("data.kind=npx"), "c.yaml: data.kind: expected one of 'digits', 'text',"),
    "measure": Bad(compare("measures=ckaa"), "c.yaml: measures: expected one of 'cka', "),
    "measure's option": Bad(
        compare("measures={name: information_imbalance, k: 0}"),
        "c.yaml: measures: k: expected a whole number from 1, got 0",
    ),
    "measures of one key": Bad(compare("measures=[cka, cka]"), "c.yaml: measures: two of them wou"),
    "block size in words": Bad(compare("block_size=many"), "c.yaml: block_size: expected an integ"),
    "block size too small": Bad(compare("block_size=3"), "c.yaml: block_size: CKA (linear, debias"),
    "block size below zero": Bad(compare("block_size=-1"), "c.yaml: block_size: "),
    "no samples": Bad(compare("max_samples=0"), "c.yaml: max_samples: expected at least 1, got 0"),
    "row policy": Bad(compare("rows=maen"), "c.yaml: rows: no policy 'maen'"),
    "rows of three sides": Bad(compare("rows=[cls, cls, cls]"), "c.yaml: rows: expected a list of"),
    "pairs": Bad(compare("pairs=some"), "c.yaml: pairs: expected 'all' or 'same_name', got 'some'"),
    "device": Bad(compare("device=gpu"), "c.yaml: device: expected a name such as 'cpu' or 'cuda"),
    "budget": Bad(compare("memory_budget=-1"), "c.yaml: memory_budget: expected at least 0, got"),
    "forward": Bad(compare("forward=bad_input_models:go"), "c.yaml: forward.factory: module 'bad_"),
}

OUTPUTS = {
    "no output": Bad(compare("output=null"), "c.yaml: output: missing; give it in the file or as"),
    "empty output": Bad(compare("output=''"), "c.yaml: output: missing; give it in the file or as"),
    "a result stands there": Bad([*compare(), "--out", "saved"], "--out: 'saved' already holds a"),
    "files of others": Bad(
        [*compare(), "--out", "thesis", "--overwrite"], "--out: 'thesis' is not a result that this"
    ),
    "a recording": Bad([*compare(), "--out", "rows", "--overwrite"], "--out: 'rows' is not a resu"),
    "a damaged result": Bad(
        [*compare(), "--out", "saved", "--overwrite"],
        "--out: 'saved' is not a result that this hooksim can read: it is not replaced",
        harm=lambda: flip("saved/metadata.json", 70),
    ),
    "a file": Bad([*compare(), "--out", "c.yaml"], "--out: 'c.yaml' is a file: a folder is needed"),
    "in a file": Bad([*compare(), "--out", "c.yaml/x"], "--out: 'c.yaml/x' cannot be created: not"),
    "a NUL": Bad([*compare(), "--out", "a\0b"], r"--out: 'a\x00b' cannot be looked at: embedded"),
    "too long": Bad([*compare(), "--out", "x" * 300], "--out: 'xxx...cannot be looked at: File na"),
    "nobody's home": Bad(
        [*compare(), "--out", "~nobody-x/r"], "--out: '~nobody-x/r' cannot be loo"
    ),
}

"""What is wrong with a document, in one line: the key's path, expected, got, the closest name."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from hooksim.loading.wording import listed
from hooksim.spelling import did_you_mean

__all__ = ["describe"]


def describe(error: ValidationError, document: Mapping[str, Any]) -> str:
    """Say in one line what is wrong with a document.

    Args:
        error: What validating the document raised.
        document: The document, to tell its keys from the names of alternatives in the error.

    Returns:
        `key.path: what is wrong` for the first key that is wrong, and how many others are.
    """
    by_path: dict[str, list[ErrorDetails]] = {}
    for each in error.errors(include_url=False):
        by_path.setdefault(_key_path(each, document), []).append(each)
    path, *others = by_path
    wrong = _wording(by_path[path], path.partition(".")[0])
    more = f" ({len(others)} more wrong: {', '.join(others)})" if others else ""
    return f"{path}: {wrong}{more}"


def _key_path(error: ErrorDetails, document: Any) -> str:
    """Return the dotted path without the names of a union's branches, which are no keys."""
    parts: list[str] = []
    node = document
    for part in error["loc"]:
        is_key = isinstance(node, Mapping) and part in node
        if is_key or (isinstance(node, list) and isinstance(part, int)):
            parts.append(str(part))
            node = node[part]
    context = error.get("ctx", {})
    if error["type"] == "missing":
        parts.append(str(error["loc"][-1]))
    elif error["type"] in ("unknown_key", "no_tag"):
        parts.append(context["key"])
    elif error["type"] == "union_tag_invalid" and isinstance(node, Mapping):
        parts.append(context["discriminator"].strip("'"))
    return ".".join(parts)


def _wording(errors: Sequence[ErrorDetails], key: str) -> str:
    """Word the errors of one key; several are the branches of a union, none of which fits."""
    first = errors[0]
    context = first.get("ctx", {})
    match first["type"]:
        case "missing":
            return "missing"
        case "unknown_key" | "no_tag":
            return first["msg"]
        case "union_tag_invalid":
            names = re.findall(r"'([^']*)'", context["expected_tags"])
            words = [each.strip() for each in context["tag"].split(",")]
            close = did_you_mean(context["tag"], names)
            if len(words) > 1 and set(words) <= set(names):
                close = f", did you mean [{', '.join(words)}]?"
            return f"expected one of {listed(names)}, got {context['tag']!r}{close}"
        case "value_error":
            return str(context["error"]).removeprefix(f"{key}: ")
    expected = list(dict.fromkeys(_expected(each) for each in errors))
    got = first["input"]
    names = re.findall(r"'([^']*)'", " ".join(expected))
    close = did_you_mean(got, names) if isinstance(got, str) else ""
    joint = ", " if " or " in expected[-1] else " or "
    return f"expected {joint.join(expected)}, got {_short(got)}{close}"


def _expected(error: ErrorDetails) -> str:
    """Turn pydantic's "Input should be X" into "X", in the words of a YAML file."""
    match error["type"]:
        case "too_short":
            return "a list that is not empty"
        case "too_long":
            return f"a list of at most {error['ctx']['max_length']}"
        case "model_attributes_type" | "model_type" | "dict_type":
            return "a mapping of keys"
        case "no_mapping":
            return f"a mapping such as {error['ctx']['example']}"
    wording = error["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    nouns = {"integer": "an integer", "string": "a string", "list": "a list"}
    nouns |= {"boolean": "true or false", "number": "a number"}
    wording = wording.replace("greater than or equal to", "at least")
    return nouns.get(wording, wording)


def _short(value: Any) -> str:
    words = repr(value)
    return words if len(words) <= 60 else f"{words[:57]}..."

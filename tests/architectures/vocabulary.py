"""What architectures call their parts, and which lines of the package speak of it.

A line is counted where its code names an input, a setting, a module or a method that some of the
table's architectures have and others have not, or one of the architectures themselves. What all of
them have, such as `config`, is the library's. Not counted are docstrings and comments; attributes
and arguments that Python, torch or the package itself has by that name; and a few strings that
mean something else here.
"""

import ast
import inspect
from collections.abc import Iterable, Iterator
from inspect import signature
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.architecture import Sources

__all__ = ["GENERAL", "specific_lines", "vocabulary"]

_LIBRARY = frozenset(
    name
    for owner in (
        torch,
        nn,
        torch.Tensor,
        nn.Module,
        dict,
        list,
        str,
        np.ndarray,
        inspect.Parameter,
    )
    for name in dir(owner)
) | frozenset(nn.modules.conv._ConvNd.__annotations__)

_KEYS = """block_size blocks cls drop features g h index interpolation items k key layer layers
lengths linear max_length model module o output pad parametrizations r shape state transform value
values w weight width x"""

GENERAL = frozenset(_KEYS.split())
"""Strings that are keys, columns, measures or policies of the package, beside what models have."""


def vocabulary(models: Iterable[tuple[nn.Module, Any]]) -> set[str]:
    """Words that some of the models use and others do not.

    Args:
        models: Of transformers, and what each returned.

    Returns:
        Arguments of their forwards and keys of their outputs, keys of their configurations, names
        of their modules, and of the methods of these, and the names of the models.
    """
    by_model = [{*_words(model), *output} for model, output in models]
    return set.union(*by_model) - set.intersection(*by_model) - GENERAL


def _words(model: nn.Module) -> Iterator[str]:
    from transformers import PreTrainedConfig

    yield model.config.model_type
    yield type(model).__name__.removesuffix("Model")
    for module in model.modules():
        yield from signature(module.forward).parameters
        yield from module._modules
        yield from set(dir(type(module))) - set(dir(nn.Module))
        config = getattr(module, "config", None)
        if isinstance(config, PreTrainedConfig):
            yield from config.to_dict()


def specific_lines(sources: Sources, words: Iterable[str]) -> list[str]:
    """Lines of code that use one of these words: as a string, an attribute or an argument.

    Args:
        sources: Path to text.
        words: The vocabulary.

    Returns:
        `path:line: the words` for each line.
    """
    known, found = set(words), []
    trees = {path: ast.parse(text) for path, text in sources.items()}
    own = {name for tree in trees.values() for node in ast.walk(tree) for name in _defined(node)}
    for path, tree in trees.items():
        by_line: dict[int, set[str]] = {}
        for node in ast.walk(tree):
            for word, line in _named(node, own | _LIBRARY):
                if word in known:
                    by_line.setdefault(line, set()).add(word)
        found += [
            f"{path}:{line}: {', '.join(sorted(used))}" for line, used in sorted(by_line.items())
        ]
    return found


def _named(node: ast.AST, others: set[str]) -> Iterator[tuple[str, int]]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value, node.lineno
    elif isinstance(node, ast.Attribute) and node.attr not in others:
        yield node.attr, node.end_lineno or node.lineno
    elif isinstance(node, ast.keyword) and node.arg and node.arg not in others:
        yield node.arg, node.lineno


def _defined(node: ast.AST) -> Iterator[str]:
    """Functions, classes, arguments, variables and attributes that a statement makes."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        yield node.attr

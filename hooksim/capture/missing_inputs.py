"""Why a forward failed, where the batch lacks what the model is fed with."""

import sys
from collections.abc import Collection, Iterator
from inspect import Parameter, signature
from typing import Any

from torch import nn

from hooksim.capture.calls import forward_parameters
from hooksim.capture.decoder_inputs import DECODER_INPUTS

__all__ = ["missing_inputs_hint"]


def missing_inputs_hint(
    model: nn.Module, batch: Collection[str], passed: Collection[str], other: Collection[str] = ()
) -> str:
    """Say which input the model was not given, and what to do about it.

    Args:
        model: The model whose forward failed.
        batch: Names of the batch's inputs.
        passed: Names of those that the model was called with, and of what was made for it.
        other: Names in the other half of a `PairedBatch`.

    Returns:
        The end of a message; empty where no input is known to be missing.

    Example:
        >>> class Reads(nn.Module):
        ...     def forward(self, tokens): ...
        >>> missing_inputs_hint(Reads(), ["pixels"], [], other=["tokens"])
        "; 'tokens' of its forward is in the other half of the PairedBatch: are a and b swapped?"
    """
    named = forward_parameters(model)
    main: Any = getattr(model, "main_input_name", None)
    needed = [main] if main in named else _required(named.values())
    missing = [key for key in needed if key not in passed]
    names = ", ".join(map(repr, missing))
    if missing and all(key in other for key in missing):
        place = "in the other half of the PairedBatch"
        return f"; {names} of its forward is {place}: are a and b swapped?"
    if missing:
        return f"; the batch lacks {names} of its forward{_alone(model, batch)}"
    if DECODER_INPUTS[0] in named and not any(key in passed for key in DECODER_INPUTS):
        return (
            f"; its decoder needs {DECODER_INPUTS[0]!r}, or 'labels' to make them of"
            f"{_alone(model, batch)}"
        )
    return ""


def _required(parameters: Collection[Parameter]) -> list[str]:
    named = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    return [
        each.name for each in parameters if each.kind in named and each.default is Parameter.empty
    ]


def _alone(model: nn.Module, batch: Collection[str]) -> str:
    """Name the class of the model's part that runs on the batch as it is, where there is one."""
    found = min(_parts(model, batch), key=len, default="")
    if not found:
        return ""
    return f"; the part of it that runs on the batch alone is {found} (auto_class: {found})"


def _parts(model: nn.Module, batch: Collection[str]) -> Iterator[str]:
    """Classes without a head that transformers has beside a model's own, fed by the batch."""
    own = type(getattr(model, "get_base_model", lambda: model)())
    module = sys.modules[own.__module__]
    for name in getattr(module, "__all__", ()):
        part: Any = getattr(module, name, None)
        if not isinstance(part, type) or not issubclass(part, nn.Module):
            continue
        if not name.endswith("Model") or name.endswith(("PreTrainedModel", "PretrainedModel")):
            continue
        takes = signature(part.forward).parameters
        fed = getattr(part, "main_input_name", None)
        if part is not own and fed in batch and fed in takes and DECODER_INPUTS[0] not in takes:
            yield name

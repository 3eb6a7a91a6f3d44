"""A model, a tokenizer or an image processor from a folder or a spec, its weights checked.

A fresh random weight compared in silence is the worst outcome, so a checkpoint that lacks weights
of the model is refused here. Messages about a key of the spec start with `key: `.
"""

from hooksim.loading.adapter import check_model
from hooksim.loading.checkpoint import checkpoint, model_inputs
from hooksim.loading.factory import call_factory, import_factory
from hooksim.loading.local import local_path
from hooksim.loading.spec import (
    MODEL_KINDS,
    PROCESSOR_KINDS,
    TOKENIZER_KINDS,
    load_model,
    load_processor,
    load_tokenizer,
)
from hooksim.loading.weights import LoadedModel

__all__ = [
    "MODEL_KINDS",
    "PROCESSOR_KINDS",
    "TOKENIZER_KINDS",
    "LoadedModel",
    "call_factory",
    "check_model",
    "checkpoint",
    "import_factory",
    "load_model",
    "load_processor",
    "load_tokenizer",
    "local_path",
    "model_inputs",
]

"""What makes a model's input of raw samples: the tokenizer or image processor of a checkpoint."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from hooksim.errors import ConfigError
from hooksim.loading.adapter import adapter_in
from hooksim.loading.checkpoint import LOADING_FAILS_WITH, checkpoint, transformers_messages_off
from hooksim.loading.factory import call_factory
from hooksim.loading.local import local_path
from hooksim.loading.wording import first_line

__all__ = [
    "load_python_preparation",
    "load_transformers_processor",
    "load_transformers_tokenizer",
]

_TOKENIZER_FILES = ("tokenizer*", "vocab.*", "*.model", "*.tiktoken", "tekken.json")
_PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")


def load_transformers_tokenizer(
    path: str,
    *,
    subfolder: str | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> Any:
    """Load the tokenizer of a checkpoint in the Hugging Face format.

    Args:
        path: Folder, or hub id where a hub can be reached.
        subfolder: Folder inside it.
        revision: Branch, tag or commit, for hub ids.
        trust_remote_code: Run code that comes with the checkpoint.

    Returns:
        The tokenizer.

    Raises:
        ConfigError: Nothing at `path`, or no tokenizer in it.
    """
    # Without any file transformers makes some tokenizers up, with an empty vocabulary.
    where, place = _place("tokenizer", _TOKENIZER_FILES, path, subfolder, revision)
    place["trust_remote_code"] = trust_remote_code
    return _from_pretrained("AutoTokenizer", "tokenizer", where, place)


def load_transformers_processor(
    path: str,
    *,
    subfolder: str | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> Any:
    """Load the image processor of a checkpoint in the Hugging Face format.

    It is the one that works on Pillow's pictures and NumPy's arrays, where transformers has it:
    so it needs no torchvision, and gives the same numbers whether that is installed or not.

    Args:
        path: Folder, hub id where a hub can be reached, or the `.json` file of a processor alone.
        subfolder: Folder inside it.
        revision: Branch, tag or commit, for hub ids.
        trust_remote_code: Run code that comes with the checkpoint.

    Returns:
        The image processor.

    Raises:
        ConfigError: Nothing at `path`, no image processor in it, or one that needs torchvision.
    """
    what = "image processor"
    file = local_path(path)
    if file.suffix == ".json" and file.is_file() and not (subfolder or revision):
        where, place = path, {"pretrained_model_name_or_path": str(file)}
    else:
        where, place = _place(what, _PROCESSOR_FILES, path, subfolder, revision)
    options = {"backend": "pil", "trust_remote_code": trust_remote_code}
    return _from_pretrained("AutoImageProcessor", what, where, {**place, **options})


def load_python_preparation(factory: str, *, kwargs: dict[str, Any] | None = None) -> Any:
    """Call a function for a tokenizer or an image processor.

    Args:
        factory: `"package.module:function"`.
        kwargs: Arguments of the function.

    Returns:
        What the function returned.

    Raises:
        ConfigError: The factory is not there, or is not to be called like this.
    """
    return call_factory(factory, kwargs)


def _place(
    what: str, files: Sequence[str], path: str, subfolder: str | None, revision: str | None
) -> tuple[str, dict[str, Any]]:
    """Find a checkpoint that holds one of these files; of an adapter without them, its base."""
    adapter = adapter_in(path, subfolder)
    if adapter is not None and not any(any(adapter.folder.glob(name)) for name in files):
        path, subfolder, revision = adapter.base, None, adapter.revision
    return checkpoint(path, subfolder, revision, what, files)


def _from_pretrained(auto_class: str, what: str, where: str, place: dict[str, Any]) -> Any:
    with transformers_messages_off():
        import transformers

        try:
            return getattr(transformers, auto_class).from_pretrained(**place)
        except LOADING_FAILS_WITH as error:
            reason = _missing_library(str(error)) or first_line(error)
            raise ConfigError(f"path: no {what} can be loaded from {where!r}: {reason}") from error


def _missing_library(message: str) -> str:
    """Say what is needed where transformers says it at length; else nothing."""
    if "torchvision" not in message or find_spec("torchvision") is not None:
        return ""
    return "it needs torchvision, which is not installed: pip install torchvision"

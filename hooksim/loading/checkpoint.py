"""Models in the Hugging Face format, from a folder or a hub."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal

from hooksim.errors import ConfigError, HooksimError, MissingWeightsError
from hooksim.loading.local import local_path
from hooksim.loading.weights import LoadedModel, WeightReport, damage
from hooksim.loading.wording import first_line, listed
from hooksim.spelling import did_you_mean

__all__ = [
    "LOADING_FAILS_WITH",
    "checkpoint",
    "load_transformers_model",
    "model_inputs",
    "transformers_messages_off",
]

Dtype = Literal["auto", "float64", "float32", "float16", "bfloat16"]

_WEIGHTS = ("*.safetensors", "*.bin")
_ARGUMENTS = "training_args.bin"  # which the Trainer puts beside them

LOADING_FAILS_WITH = (Exception,)
"""What `from_pretrained` raises where a file is cut off, or a config holds nonsense: the errors of
a dozen libraries, down to `TypeError` and `IndexError`."""


def load_transformers_model(
    path: str,
    *,
    subfolder: str | None = None,
    revision: str | None = None,
    dtype: Dtype | None = None,
    auto_class: str | None = None,
    attn_implementation: str | None = None,
    trust_remote_code: bool = False,
    allow_missing: list[str] | None = None,
) -> LoadedModel:
    """Load a checkpoint in the Hugging Face format.

    Args:
        path: Folder, or hub id where a hub can be reached. A folder of that name comes first.
        subfolder: Folder inside it, such as `checkpoint-500`.
        revision: Branch, tag or commit, for hub ids.
        dtype: Type of the weights; None and "auto" keep the checkpoint's.
        auto_class: Class of transformers to load with; None takes the one that the checkpoint's
            config names, else AutoModel.
        attn_implementation: For example "eager" or "sdpa".
        trust_remote_code: Run code that comes with the checkpoint.
        allow_missing: Names, or patterns with `*`, of weights that may stay as initialised.

    Returns:
        The model and notes.

    Raises:
        ConfigError: Nothing at `path`, or it cannot be loaded.
        MissingWeightsError: The checkpoint has no weights, damaged ones, lacks some, or has them in
            another shape.
    """
    where, place = checkpoint(path, subfolder, revision)
    place["trust_remote_code"] = trust_remote_code
    with transformers_messages_off():
        model_class = _model_class(where, place, auto_class)
        if attn_implementation is not None:
            place["attn_implementation"] = attn_implementation
        model, info = _from_pretrained(model_class, where, place, dtype or "auto")
    notes = WeightReport(where, type(model).__name__).judge(
        missing=info["missing_keys"],
        unexpected=info["unexpected_keys"],
        mismatched=info["mismatched_keys"],
        allow_missing=allow_missing or (),
    )
    return LoadedModel(model.eval(), notes)


def model_inputs(
    path: str,
    *,
    subfolder: str | None = None,
    revision: str | None = None,
    auto_class: str | None = None,
    trust_remote_code: bool = False,
    **_others: Any,
) -> tuple[str, list[str]]:
    """Tell what the model of a checkpoint is called with, without loading it.

    Args:
        path: Folder or hub id; like the others as for `load_transformers_model`.
        subfolder: Folder inside it.
        revision: Branch, tag or commit, for hub ids.
        auto_class: Class of transformers to load with.
        trust_remote_code: Run code that comes with the checkpoint.

    Returns:
        The model's class and the arguments of its forward; no arguments where only loading the
        model would tell.

    Raises:
        ConfigError: Nothing at `path`, or its config cannot be read.
    """
    where, place = checkpoint(path, subfolder, revision)
    place["trust_remote_code"] = trust_remote_code
    with transformers_messages_off():
        model_class = _model_class(where, place, auto_class)
    forward = getattr(model_class, "forward", None)
    return model_class.__name__, list(signature(forward).parameters) if forward else []


def checkpoint(
    path: str,
    subfolder: str | None,
    revision: str | None,
    what: str = "config.json",
    files: Sequence[str] = ("config.json",),
) -> tuple[str, dict[str, Any]]:
    """Find a checkpoint, and what is wanted of it.

    Args:
        path: Folder, or hub id where a hub can be reached. A folder of that name comes first.
        subfolder: Folder inside it.
        revision: Branch, tag or commit, for hub ids.
        what: What is wanted, for messages.
        files: Names or patterns of files, of which a folder has at least one if it holds that.

    Returns:
        The checkpoint's name for messages, and the place for `from_pretrained`.

    Raises:
        ConfigError: Nothing at `path`, or it does not hold what is wanted.
    """
    root = local_path(path)
    if root.is_dir():
        folder = root / (subfolder or "")
        if not folder.is_dir():
            there = [child.name for child in folder.parent.glob("*/")]
            close = did_you_mean(folder.name, there)
            raise ConfigError(f"subfolder: {path!r} has no folder {subfolder!r}{close}")
        if not any(any(folder.glob(name)) for name in files):
            inside = {found.parent.name for name in files for found in folder.glob(f"*/{name}")}
            hint = f"; its subfolders {listed(sorted(inside))} have one" if inside else ""
            raise ConfigError(f"path: {str(folder)!r} holds no {what}{hint}")
        return str(folder), {"pretrained_model_name_or_path": str(folder)}
    _check_hub(path, revision)
    place: dict[str, Any] = {"pretrained_model_name_or_path": path}
    if revision is not None:
        place["revision"] = revision
    if subfolder is not None:
        place["subfolder"] = subfolder
    return (f"{path}/{subfolder}" if subfolder else path), place


def _check_hub(path: str, revision: str | None) -> None:
    """Ask the hub once: `from_pretrained` retries for most of a minute without a network."""
    from huggingface_hub import HfApi, try_to_load_from_cache

    if Path(path).expanduser().exists():
        raise ConfigError(f"path: {path!r} is a file, expected the folder of a checkpoint")
    parent = Path(path).parent
    beside_folders = parent != Path() and parent.is_dir()  # a typo in a path, not a hub id
    if beside_folders or not re.fullmatch(r"\w[\w.-]*(/[\w.-]+)?", path, re.ASCII):
        close = did_you_mean(path, [str(child) for child in parent.glob("*/")])
        raise ConfigError(f"path: no folder {path!r}{close or f' in {str(Path.cwd())!r}'}")
    try:
        if isinstance(try_to_load_from_cache(path, "config.json", revision=revision), str):
            return
        HfApi().model_info(path, revision=revision, timeout=10)
    except Exception as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise ConfigError(
            f"path: no folder {path!r} here, and no such model from the hub ({reason})"
        ) from error


def _model_class(where: str, place: dict[str, Any], auto_class: str | None) -> Any:
    """Return the class asked for, else the one that the config names, else AutoModel."""
    import transformers

    if auto_class is not None:
        if not hasattr(getattr(transformers, auto_class, None), "from_pretrained"):
            close = did_you_mean(auto_class, [n for n in dir(transformers) if "Model" in n])
            raise ConfigError(f"auto_class: transformers has no model class {auto_class!r}{close}")
        return getattr(transformers, auto_class)
    try:
        config = transformers.AutoConfig.from_pretrained(**place)
    except LOADING_FAILS_WITH as error:
        reason = first_line(error)
        if "trust_remote_code" in str(error) and not place.get("trust_remote_code"):
            reason = "it comes with code of its own, which runs only with trust_remote_code: true"
        raise ConfigError(f"path: cannot read the config of {where!r}: {reason}") from error
    names = getattr(config, "architectures", None) or []
    known = [name for name in names if isinstance(name, str) and hasattr(transformers, name)]
    found = [getattr(transformers, name) for name in known]
    return found[0] if found else transformers.AutoModel


def _from_pretrained(
    model_class: Any, where: str, place: dict[str, Any], dtype: str
) -> tuple[Any, dict[str, Any]]:
    try:
        model, info = model_class.from_pretrained(
            **place,
            dtype=dtype,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # so that they are listed; the report refuses them
        )
    except LOADING_FAILS_WITH as error:
        raise _failure(where, error) from error
    return model, info


def _failure(where: str, error: Exception) -> HooksimError:
    """What to raise where a model whose config is there cannot be loaded."""
    folder = Path(where)
    if not folder.is_dir():
        return ConfigError(f"path: cannot load {where!r}: {first_line(error)}")
    files = sorted(file for name in _WEIGHTS for file in folder.glob(name))
    files = [file for file in files if file.name != _ARGUMENTS]
    if not files:
        return MissingWeightsError(
            f"{where!r} holds no weights: none of its files is named {' or '.join(_WEIGHTS)}."
        )
    broken = {file.name: damage(file) for file in files}
    for name, reason in broken.items():
        if reason:
            return MissingWeightsError(
                f"path: cannot load {where!r}: {name!r} is damaged ({reason})"
            )
    if isinstance(error, UnpicklingError):
        return ConfigError(
            f"path: {where!r} holds more than tensors in its weights and could run code; it is "
            "refused. Save them as .safetensors"
        )
    absent = isinstance(error, FileNotFoundError)  # one of several files of weights
    kind = MissingWeightsError if absent else ConfigError
    return kind(f"path: cannot load {where!r}: {first_line(error)}")


@contextmanager
def transformers_messages_off() -> Iterator[None]:
    """Silence the library's load report and progress bars for a while.

    What they say about weights is an error or a note here.
    """
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]

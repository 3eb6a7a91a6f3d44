"""Adapters of peft on disk: a folder of small weights that go into a base model."""

import json
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from hooksim.errors import ConfigError, MissingWeightsError
from hooksim.loading.checkpoint import (
    LOADING_FAILS_WITH,
    Dtype,
    checkpoint,
    load_transformers_model,
    transformers_messages_off,
)
from hooksim.loading.local import local_path
from hooksim.loading.weights import LoadedModel, WeightReport, read_state
from hooksim.loading.wording import first_line

__all__ = ["Adapter", "adapter_in", "check_model", "load_pretrained_model"]

_CONFIG = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"
_PICKLED = "adapter_model.bin"


class Adapter(NamedTuple):
    """A folder that holds an adapter.

    Attributes:
        folder: The folder.
        base: Folder or hub id of the model that it was trained for.
        revision: Of the base, for a hub id.
        task: What peft calls the model's task; None where it says none.
        base_class: Class of the base, where the adapter names it.
        saved_whole: Modules of the base whose weights the adapter brings itself.
    """

    folder: Path
    base: str
    revision: str | None
    task: str | None
    base_class: str | None
    saved_whole: tuple[str, ...]


def adapter_in(path: str, subfolder: str | None = None) -> Adapter | None:
    """Read what an adapter's folder says of its base.

    Args:
        path: A folder, or a hub id.
        subfolder: Folder inside it.

    Returns:
        The adapter; None for a folder of anything else, or with a whole model beside it, and for
        hub ids.

    Raises:
        ConfigError: The adapter's configuration cannot be read.
    """
    folder = local_path(path) / (subfolder or "")
    file = folder / _CONFIG
    if not file.is_file() or (folder / "config.json").is_file():
        return None
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
        mapping = settings.get("auto_mapping") or {}
        base = str(settings.get("base_model_name_or_path") or "")
        return Adapter(
            folder,
            str(folder / base) if base and (folder / base).is_dir() else base,
            settings.get("revision"),
            settings.get("task_type"),
            mapping.get("base_model_class"),
            tuple(settings.get("modules_to_save") or ()),
        )
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ConfigError(f"path: cannot read {str(file)!r}: {first_line(error)}") from error


def check_model(
    path: str, subfolder: str | None, revision: str | None, base_model: str | None = None
) -> None:
    """Refuse a checkpoint or an adapter that is not there, before anything is loaded.

    Args:
        path: Folder or hub id; like the others as for `load_pretrained_model`.
        subfolder: Folder inside it.
        revision: Branch, tag or commit, for hub ids.
        base_model: Folder or hub id of an adapter's base.

    Raises:
        ConfigError: Nothing is there, or no base of the adapter; or it would have to be unpickled.
    """
    adapter = adapter_in(path, subfolder)
    if adapter is None:
        checkpoint(path, subfolder, revision)
    else:
        _check(adapter)
        _with_base(adapter, base_model, lambda base, of: checkpoint(base, None, of))


def load_pretrained_model(
    path: str,
    *,
    subfolder: str | None = None,
    revision: str | None = None,
    dtype: Dtype | None = None,
    auto_class: str | None = None,
    attn_implementation: str | None = None,
    trust_remote_code: bool = False,
    allow_missing: list[str] | None = None,
    base_model: str | None = None,
) -> LoadedModel:
    """Load a checkpoint in the Hugging Face format, or an adapter of peft with its base.

    Args:
        path: Folder of a checkpoint or of an adapter, or hub id of a checkpoint.
        subfolder: Folder inside it, such as `checkpoint-500`.
        revision: Branch, tag or commit, for hub ids.
        dtype: Type of the weights; None and "auto" keep the checkpoint's.
        auto_class: Class of transformers to load with; None takes the one that the checkpoint's
            config names, or for an adapter that of its task.
        attn_implementation: For example "eager" or "sdpa".
        trust_remote_code: Run code that comes with the checkpoint.
        allow_missing: Names, or patterns with `*`, of weights that may stay as initialised.
        base_model: Folder or hub id of an adapter's base; None for the one that it names.

    Returns:
        The model, and notes. An adapter that changes layers (LoRA) is inside its base, whose layers
        keep their names; one that adds tokens (prompt tuning) is around it.

    Raises:
        ConfigError: Nothing at `path`, it cannot be loaded, or peft is not installed.
        MissingWeightsError: Weights are missing or have another shape.
    """
    options: dict[str, Any] = {
        "dtype": dtype,
        "attn_implementation": attn_implementation,
        "trust_remote_code": trust_remote_code,
    }
    adapter = adapter_in(path, subfolder)
    if adapter is not None:
        options["auto_class"] = auto_class
        return _load_adapter(adapter, base_model, allow_missing or [], options)
    if base_model is not None:
        raise ConfigError(f"base_model: only for an adapter; {path!r} has no {_CONFIG}")
    return load_transformers_model(
        path,
        subfolder=subfolder,
        revision=revision,
        auto_class=auto_class,
        allow_missing=allow_missing,
        **options,
    )


def _load_adapter(
    adapter: Adapter, base_model: str | None, allow_missing: list[str], options: dict[str, Any]
) -> LoadedModel:
    _check(adapter)
    options["auto_class"] = options["auto_class"] or adapter.base_class or _class_of(adapter.task)
    brought = [f"*{name}.*" for name in adapter.saved_whole]

    def load(base: str, revision: str | None) -> LoadedModel:
        # What the adapter brings itself may be missing here: a head, made for its task.
        allowed = [*allow_missing, *brought]
        return load_transformers_model(base, revision=revision, allow_missing=allowed, **options)

    base, notes = _with_base(adapter, base_model, load)
    if not allow_missing:
        notes = tuple(note for note in notes if note.code != "missing_weights")
    where, kind = str(adapter.folder), type(base).__name__
    model = _put_in(adapter, base)
    expected, held = _expected(model), read_state(str(adapter.folder / _WEIGHTS))
    judged = WeightReport(where, f"the adapter of {kind}").judge(
        missing=expected - held.keys(),
        unexpected=held.keys() - expected,
        mismatched=(),  # peft raised at those
        allow_missing=allow_missing,
    )
    inside = not model.active_peft_config.is_prompt_learning
    return LoadedModel((model.get_base_model() if inside else model).eval(), (*notes, *judged))


def _check(adapter: Adapter) -> None:
    """Refuse what cannot be loaded safely, or not at all."""
    where = str(adapter.folder)
    if find_spec("peft") is None:
        raise ConfigError(f"path: {where!r} is an adapter of peft: pip install peft")
    if not (adapter.folder / _WEIGHTS).is_file():
        pickled = (adapter.folder / _PICKLED).is_file()
        again = (
            f"; {_PICKLED} could run code and is not read: load it with peft and call "
            "save_pretrained, which writes safetensors"
        )
        raise MissingWeightsError(f"{where!r} holds no {_WEIGHTS}{again * pickled}")


def _with_base(adapter: Adapter, base_model: str | None, use: Any) -> Any:
    """Do something with the base of an adapter; without one, say how to name it."""
    base, revision = base_model or adapter.base, None if base_model else adapter.revision
    where = str(adapter.folder)
    if not base:
        raise ConfigError(f"base_model: missing; {where!r} does not say which model it is for")
    try:
        return use(base, revision)
    except ConfigError as error:
        reason = str(error).removeprefix("path: ")
        named = "" if base_model else f"; {where!r} is an adapter for it: base_model: FOLDER"
        raise ConfigError(f"base_model: {reason}{named}") from error


def _class_of(task: str | None) -> str | None:
    """The class of transformers that peft takes for a task."""
    from peft import MODEL_TYPE_TO_PEFT_MODEL_MAPPING, auto

    wrapper = MODEL_TYPE_TO_PEFT_MODEL_MAPPING.get(task or "")
    for each in vars(auto).values():
        if wrapper is not None and getattr(each, "_target_peft_class", None) is wrapper:
            return str(each._target_class.__name__)
    return None


def _put_in(adapter: Adapter, base: Any) -> Any:
    from peft import PeftModel

    try:
        with transformers_messages_off(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that weights are missing is an error, said below
            return PeftModel.from_pretrained(base, str(adapter.folder))
    except LOADING_FAILS_WITH as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"path: cannot load {str(adapter.folder)!r}: {reason}") from error


def _expected(model: Any) -> set[str]:
    from peft import get_peft_model_state_dict

    return set(get_peft_model_state_dict(model, save_embedding_layers=False))

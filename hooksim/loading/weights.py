"""State dicts from a file into a model, and the judgement whether they fit."""

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, NamedTuple
from zipfile import is_zipfile

from hooksim.errors import ConfigError, MissingWeightsError, Note
from hooksim.loading.local import local_path
from hooksim.loading.prefix import wrapper_prefix
from hooksim.loading.wording import count, first_line, listed, shown
from hooksim.spelling import did_you_mean

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["LoadedModel", "WeightReport", "damage", "fill", "read_state"]


class LoadedModel(NamedTuple):
    """A model in evaluation mode and what its reader should know of how it was loaded.

    Attributes:
        model: The module.
        notes: Weights of the file that the model has no place for; missing ones that were allowed.
    """

    model: "nn.Module"
    notes: tuple[Note, ...]


def fill(
    model: "nn.Module", weights: str, allow_missing: Sequence[str], entry: str | None = None
) -> tuple[Note, ...]:
    """Copy a file's state dict into a model once its keys and shapes are judged.

    Args:
        model: Changed in place; parameters on the meta device take the file's tensors.
        weights: The file.
        allow_missing: Names or patterns of weights that may be missing.
        entry: Of a file that holds more, which of its entries is the state dict.

    Returns:
        The notes of the judgement; one on what a wrapper put in front of all names, left out here.

    Raises:
        ConfigError: The file is not there, or holds something else.
        MissingWeightsError: The file is damaged; weights are missing, have another shape or are
            integers where the model computes with real numbers.
    """
    state = read_state(weights, entry)
    expected = model.state_dict(keep_vars=True)
    prefix = wrapper_prefix(state, expected)
    state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    # Tied weights are one tensor under several names; a file holds it under at least one.
    filled = {id(expected[name]) for name in state.keys() & expected.keys()}
    common = [name for name in expected if name in state]
    report = WeightReport(weights, type(model).__name__)
    notes = report.judge(
        missing=[name for name, tensor in expected.items() if id(tensor) not in filled],
        unexpected=[name for name in state if name not in expected],
        mismatched=[
            (name, state[name].shape, expected[name].shape)
            for name in common
            if state[name].shape != expected[name].shape
        ],
        allow_missing=allow_missing,
    )
    _check_kinds(report, {name: (state[name], expected[name]) for name in common})
    on_meta = any(tensor.is_meta for tensor in expected.values())
    model.load_state_dict(state, strict=False, assign=on_meta)
    if prefix:
        text = (
            f"{weights!r} has {prefix!r} in front of every name of {report.model}; left out here."
        )
        notes = (Note("wrapper_prefix", text), *notes)
    return notes


def _check_kinds(report: "WeightReport", pairs: "Mapping[str, tuple[Tensor, Tensor]]") -> None:
    """Refuse integers for real numbers, which would be taken for their values."""
    packed = [
        name
        for name, (there, here) in pairs.items()
        if here.is_floating_point() and not there.is_floating_point()
    ]
    if packed:
        raise MissingWeightsError(
            f"{report.where!r} has {count(packed, 'parameter')} of {report.model} as integers "
            f"({listed(packed)}), as quantized or packed ones are. Give weights of real numbers."
        )


def read_state(weights: str, entry: str | None = None) -> "dict[str, Tensor]":
    """Read names and tensors from a file, never running code from it.

    Args:
        weights: A `.safetensors` file, or one that `torch.save` wrote; the latter is mapped into
            memory, not read at once.
        entry: Of a file that holds more, such as `{"model": ..., "optimizer": ...}`, which of its
            entries is the state dict; None where the file is one. Nothing is guessed.

    Returns:
        The state dict, on the CPU.

    Raises:
        ConfigError: No such file or entry, or it holds more than a state dict.
        MissingWeightsError: The file is damaged.
    """
    found = _read(weights)
    if entry is not None:
        found = _entry(found, entry, weights)
    if _is_state(found):
        return dict(found)
    held, hint = type(found).__name__, ""
    if isinstance(found, Mapping):
        held = listed(found)
        inside = [str(key) for key, value in found.items() if _is_state(value) and value]
        chosen = f"{inside[0]!r} is one" if len(inside) == 1 else f"{listed(inside)} are such"
        hint = f"; {chosen}: choose with entry: {inside[0]}" if inside and entry is None else ""
    where = "" if entry is None else f"entry {entry!r} of "
    raise ConfigError(
        f"weights: expected a state dict of names and tensors in {where}{weights!r}, got "
        f"{held}{hint}"
    )


def _read(weights: str) -> Any:
    """Whatever a file holds."""
    import torch
    from safetensors.torch import load_file

    path = local_path(weights, "weights")
    if not path.is_file():
        there = path.parent.iterdir() if path.parent.is_dir() else ()
        close = did_you_mean(path.name, sorted(each.name for each in there if each.is_file()))
        raise ConfigError(f"weights: no file {weights!r}{close or f' in {str(Path.cwd())!r}'}")
    try:
        mapped = is_zipfile(path)  # torch.save before version 1.6 wrote files that cannot be mapped
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():  # "Detected pickle protocol ..."
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except UnpicklingError as error:
        raise ConfigError(
            f"weights: {weights!r} holds more than tensors and could run code; it is refused. "
            "Save model.state_dict() with torch.save, or write a .safetensors file"
        ) from error
    except OSError as error:
        raise MissingWeightsError(
            f"weights: cannot read {weights!r}: {first_line(error)}"
        ) from error
    except Exception as error:  # damage shows as errors of pickle, struct, zipfile, torch, ...
        raise MissingWeightsError(
            f"weights: cannot read {weights!r}: it is damaged or cut short ({_sentence(error)})"
        ) from error


def _sentence(error: BaseException) -> str:
    """The first sentence of a message; what is advised after it is not for our reader."""
    return re.split(r"(?<=[.!?])\s", first_line(error))[0].rstrip(".")


def _is_state(held: Any) -> bool:
    from torch import is_tensor

    return isinstance(held, Mapping) and all(is_tensor(each) for each in held.values())


def _entry(held: Any, entry: str, weights: str) -> Any:
    if not isinstance(held, Mapping) or entry not in held:
        there = listed(held) if isinstance(held, Mapping) else type(held).__name__
        close = did_you_mean(entry, map(str, held)) if isinstance(held, Mapping) else ""
        raise ConfigError(
            f"entry: {weights!r} has no entry {entry!r}{close or f'; it has {there}'}"
        )
    return held[entry]


def damage(file: Path) -> str:
    """Say why a file of weights cannot be opened, at the cost of its head.

    Args:
        file: A `.safetensors` file, or one that `torch.save` wrote.

    Returns:
        The reason; empty where it can.
    """
    from safetensors import SafetensorError, safe_open

    try:
        if file.suffix == ".safetensors":
            with safe_open(file, framework="pt"):
                return ""
        _read(str(file))
    except MissingWeightsError as error:
        return _sentence(error.__cause__ or error)
    except (SafetensorError, OSError) as error:
        return first_line(error)
    except ConfigError:  # it can be read, and is no file of weights
        return ""
    return ""


class WeightReport(NamedTuple):
    """Decides whether a checkpoint fits a model, and words it.

    Attributes:
        where: The checkpoint's name for messages.
        model: The model's class.
    """

    where: str
    model: str

    def judge(
        self,
        *,
        missing: Iterable[str],
        unexpected: Iterable[str],
        mismatched: Iterable[tuple[str, Sequence[int], Sequence[int]]],
        allow_missing: Sequence[str],
    ) -> tuple[Note, ...]:
        """Refuse a checkpoint that does not fill the model.

        Args:
            missing: Weights of the model that the checkpoint has not.
            unexpected: Weights of the checkpoint that the model has no place for.
            mismatched: Name, shape in the checkpoint and shape in the model.
            allow_missing: Names or patterns of weights that may be missing.

        Returns:
            One note for what was allowed to be missing, one for what was left over.

        Raises:
            MissingWeightsError: Weights are missing or have another shape.
        """
        shapes = [f"{n!r}: {(*f,)} there, {(*m,)} in the model" for n, f, m in sorted(mismatched)]
        if shapes:
            raise MissingWeightsError(
                f"{self.where!r} has {count(shapes, 'parameter')} of {self.model} in another shape "
                f"({shown(shapes)}). Load it with the configuration that it was trained with."
            )
        absent, extra = sorted(missing), sorted(unexpected)
        refused = [n for n in absent if not any(fnmatchcase(n, p) for p in allow_missing)]
        if refused:
            raise MissingWeightsError(
                f"{self.where!r} has no weights for {count(refused, 'parameter')} of {self.model} "
                f"({listed(refused)}). {_elsewhere(refused, extra)}Comparing fresh random weights "
                f"is refused; allow_missing=[{listed(refused)}] accepts these."
            )
        notes = []
        if absent:
            some = f"{count(absent, 'parameter')} of {self.model} ({listed(absent)})"
            text = f"{self.where!r} has no weights for {some}, as allowed."
            notes.append(Note("missing_weights", text))
        if extra:
            some = f"{count(extra, 'parameter')} ({listed(extra)})"
            text = f"{self.where!r} has {some} that {self.model} has no place for."
            notes.append(Note("unexpected_weights", text))
        return tuple(notes)


def _elsewhere(missing: Sequence[str], extra: Sequence[str]) -> str:
    """Say where the file has a missing weight under a longer name."""
    pairs = ((name, each) for name in missing for each in extra if each.endswith(f".{name}"))
    name, there = next(pairs, ("", ""))
    return (
        f"It has {name!r} as {there!r}: save the state dict of the model inside. " if name else ""
    )

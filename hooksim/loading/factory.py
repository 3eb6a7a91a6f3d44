"""Functions named in a spec: imported and called, each mistake one line."""

import inspect
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from hooksim.errors import ConfigError
from hooksim.loading.wording import first_line
from hooksim.spelling import did_you_mean

__all__ = ["call_factory", "import_factory"]


def import_factory(name: str) -> Callable[..., Any]:
    """Import a function by name.

    Args:
        name: `"package.module:function"`; the function may be an attribute of an attribute.

    Returns:
        The function.

    Raises:
        ConfigError: The name is malformed, there is no such module or function, or the module
            needs one that is not installed.

    Example:
        >>> import hooksim.loading
        >>> hooksim.loading.import_factory("math:sqrt")(9.0)
        3.0
    """
    module_name, colon, path = name.partition(":")
    if not (module_name and colon and path) or module_name.startswith("."):
        raise ConfigError(f"factory: expected 'package.module:function', got {name!r}")
    try:
        found: Any = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            # the module is there; something that it imports is not
            raise _import_failed(name, error) from error
        first = sys.path[0] if sys.path else ""
        searched = f" (looked in {first!r} and in the installed packages)" if first else ""
        raise ConfigError(f"factory: no module {error.name!r} for {name!r}{searched}") from error
    except ImportError as error:
        raise _import_failed(name, error) from error
    for part in path.split("."):
        if not hasattr(found, part):
            close = did_you_mean(part, [word for word in dir(found) if not word.startswith("_")])
            raise ConfigError(f"factory: module {module_name!r} has no {part!r}{close}")
        found = getattr(found, part)
    if not callable(found):
        raise ConfigError(f"factory: {name!r} is no function but {type(found).__name__}")
    imported: Callable[..., Any] = found
    return imported


def call_factory(name: str, kwargs: Mapping[str, Any] | None = None) -> Any:
    """Import a function by name and call it.

    Args:
        name: `"package.module:function"`.
        kwargs: Its arguments.

    Returns:
        What the function returned.

    Raises:
        ConfigError: There is no such function, it does not take these arguments, or it needs a
            module that is not installed.
    """
    function = import_factory(name)
    try:
        inspect.signature(function).bind(**(kwargs or {}))
    except TypeError as error:
        raise ConfigError(f"kwargs: {name!r} cannot be called with these: {error}") from error
    except ValueError:  # a builtin without a signature: the call itself will tell
        pass
    try:
        return function(**(kwargs or {}))
    except ImportError as error:
        raise _import_failed(name, error) from error


def _import_failed(name: str, error: ImportError) -> ConfigError:
    """Word an import that fails inside a user's module, with what its message adds."""
    message = first_line(error)
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return ConfigError(f"factory: {name!r} cannot be imported or called: {message}")
    needs = f"factory: {name!r} needs the module {error.name!r}, which is not installed"
    return ConfigError(needs if message.startswith("No module named") else f"{needs}: {message}")

"""Schemas made from signatures: what a function or class takes is what the config may say."""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Union

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    create_model,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from hooksim.spelling import did_you_mean

__all__ = ["KindOf", "LocalPath", "Strict", "schema_of"]

LocalPath = BeforeValidator(
    lambda value: {"kind": "transformers", "path": value} if isinstance(value, str) else value
)
"""A bare string stands for a checkpoint in the Hugging Face format, by its path."""


class Strict(BaseModel):
    """A schema that takes values as they are and refuses keys that it does not know."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)

    @model_validator(mode="before")
    @classmethod
    def refuse_unknown_keys(cls, values: Any) -> Any:
        """Check the keys before the values: a misspelt key often leaves another one missing.

        Args:
            values: What stands in the document.

        Returns:
            The same.

        Raises:
            PydanticCustomError: A key that is not a field, with the closest one that is.
        """
        for key in values if isinstance(values, Mapping) else ():
            if key not in cls.model_fields:
                both = [f"{key}_{end}" for end in "ab" if f"{key}_{end}" in cls.model_fields]
                pair = f", did you mean {both[0]!r} or {both[1]!r}?" if len(both) > 1 else ""
                there = cls._elsewhere(str(key))
                hint = pair or there or did_you_mean(str(key), cls.model_fields)
                raise PydanticCustomError(
                    "unknown_key", "unknown key{hint}", {"key": str(key), "hint": hint}
                )
        return values

    @classmethod
    def _elsewhere(cls, key: str) -> str:
        """Say where a key stands that these are not like, as the end of a sentence."""
        del key
        return ""


def schema_of(function: Callable[..., Any], **fixed: str) -> type[Strict]:
    """Make a schema whose keys are the parameters of a function.

    Args:
        function: A function or class with annotated parameters; positional-only ones are left out.
        fixed: Further keys that must have exactly this value.

    Returns:
        The schema.

    Example:
        >>> def chunks(_models, /, *, length: int = 3) -> None: ...
        >>> list(schema_of(chunks, kind="chunks").model_fields)
        ['kind', 'length']
    """
    fields: dict[str, Any] = {key: (Literal[value], ...) for key, value in fixed.items()}
    for name, parameter in inspect.signature(function, eval_str=True).parameters.items():
        if parameter.kind is not parameter.POSITIONAL_ONLY:
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[name] = (parameter.annotation, default)
    schema: type[Strict] = create_model(function.__name__, __base__=Strict, **fields)
    return schema


class KindOf:
    """Marks a mapping that names an entry of a table of functions, its other keys their arguments.

    Args:
        table: The functions by name.
        tag: The key of the mapping that holds the name; None for a table of one entry.
    """

    def __init__(self, table: Mapping[str, Callable[..., Any]], tag: str | None = "kind") -> None:
        self.table = table
        self.tag = tag

    def __get_pydantic_core_schema__(
        self, _source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Validate as the schema that the tag names, and give back the keys that were there."""
        schemas = [
            schema_of(function, **({self.tag: name} if self.tag else {}))
            for name, function in self.table.items()
        ]
        if self.tag is None:
            return _keys_given(handler.generate_schema(schemas[0]))
        union: Any = Union[tuple(schemas)]  # noqa: UP007 (its members are made here)
        tagged = handler.generate_schema(Annotated[union, Field(discriminator=self.tag)])
        return core_schema.no_info_before_validator_function(self._tagged, _keys_given(tagged))

    def _tagged(self, value: Any) -> Any:
        """Refuse what names no entry, and show what would."""
        if not isinstance(value, Mapping):
            raise PydanticCustomError("no_mapping", "{example}", {"example": self._example()})
        if self.tag not in value:
            context = {"key": self.tag, "example": self._example()}
            raise PydanticCustomError("no_tag", "missing; for example {example}", context)
        return value

    def _example(self) -> str:
        """The first entry with the keys that it needs, as it would stand in the document."""
        name, function = next(iter(self.table.items()))
        needed = [
            f", {key}: ..."
            for key, parameter in inspect.signature(function).parameters.items()
            if parameter.kind is not parameter.POSITIONAL_ONLY
            and parameter.default is parameter.empty
        ]
        return f"{{{self.tag}: {name}{''.join(needed)}}}"


def _keys_given(schema: CoreSchema) -> CoreSchema:
    return core_schema.no_info_after_validator_function(_as_mapping, schema)


def _as_mapping(validated: Strict) -> dict[str, Any]:
    """Give the keys that stood in the document; values of inner marks are plain already."""
    given = validated.model_fields_set
    return {
        name: getattr(validated, name) for name in type(validated).model_fields if name in given
    }

"""Lines of text, tokenised by the tokenizer of each model."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from hooksim.capture.batches import PairedBatch
from hooksim.cli.batching import Batches, BatchSize, ModelSpecs
from hooksim.cli.preparation import Preparation, load_pair
from hooksim.cli.schema import KindOf, LocalPath
from hooksim.errors import ConfigError, Note
from hooksim.loading import TOKENIZER_KINDS, load_tokenizer, local_path
from hooksim.loading.wording import listed
from hooksim.spelling import did_you_mean

__all__ = ["TextBatches", "Texts", "read_texts", "text_batches"]

TokenizerSpec = Annotated[dict[str, Any], KindOf(TOKENIZER_KINDS), LocalPath]

_NO_LIMIT = 1_000_000  # tokenizers without a limit of their own say a huge number


class Texts(NamedTuple):
    """Texts and where each stands.

    Attributes:
        texts: One a sample.
        ids: `file name:line`, lines from 1.
    """

    texts: list[str]
    ids: list[str]


def text_batches(
    models: ModelSpecs,
    /,
    *,
    path: str,
    field: str | None = None,
    max_length: Annotated[int, Field(ge=1)] | None = None,
    pad_to_multiple_of: Annotated[int, Field(ge=1)] | None = None,
    batch_size: BatchSize = 32,
    tokenizer_a: TokenizerSpec | None = None,
    tokenizer_b: TokenizerSpec | None = None,
) -> "TextBatches":
    """Batches of tokenised text, padded to the longest of each batch.

    Padding is on the right, whatever side the tokenizer would pad for generation: there it moves
    no token to another position, so that every model gives for a text what it gives for it alone.

    Args:
        models: Specs of the models, whose checkpoints hold the tokenizers.
        path: A `.txt` file, a line a sample, or a `.jsonl` file, an object a line. Empty lines
            are no samples.
        field: Key of the text in a `.jsonl` file; `text` where it is left out.
        max_length: Longest sequence in tokens; None for the tokenizer's own limit.
        pad_to_multiple_of: Pad further, to a multiple of this: for models that would pad inside,
            such as those with windows of attention, whose layers then have more tokens than the
            mask.
        batch_size: Lines in a batch.
        tokenizer_a: Spec of model A's tokenizer, where its checkpoint holds none.
        tokenizer_b: The same for model B.

    Returns:
        A loader of mappings, or of `PairedBatch` where the tokenizers differ.

    Raises:
        ConfigError: No such file or field, no text in it, or no tokenizer.
    """
    texts = read_texts(path, field)
    tokenizers = load_pair(_TOKENIZERS, models, tokenizer_a, tokenizer_b)
    padding = {"padding": "longest", "pad_to_multiple_of": pad_to_multiple_of}
    return TextBatches(texts, batch_size, max_length, padding, *tokenizers)


class TextBatches(Batches):
    """A loader over texts.

    Args:
        texts: The texts and their ids.
        batch_size: Lines in a batch.
        max_length: Longest sequence in tokens; None for each tokenizer's own limit.
        padding: How far to pad, as tokenizers are told.
        tokenizer_a: Tokenizer of model A, and of both where the other is None.
        tokenizer_b: Tokenizer of model B where it differs.

    State: `cut_ids`, the ids of texts that were longer than the limit, as they are read.
    """

    def __init__(
        self,
        texts: Texts,
        batch_size: int,
        max_length: int | None,
        padding: Mapping[str, Any],
        tokenizer_a: Any,
        tokenizer_b: Any = None,
    ) -> None:
        super().__init__(len(texts.texts), batch_size, self._batch)
        self.texts = texts
        self.max_length = max_length
        self.padding = padding
        self.tokenizer_a = tokenizer_a
        self.tokenizer_b = tokenizer_b
        self.cut_ids: set[str] = set()

    def _batch(self, samples: range) -> Any:
        part = slice(samples.start, samples.stop)
        texts, ids = self.texts.texts[part], self.texts.ids[part]
        first = self._tokenised(self.tokenizer_a, texts, ids)
        if self.tokenizer_b is None:
            return {**first, "sample_ids": ids}
        return PairedBatch(first, self._tokenised(self.tokenizer_b, texts, ids), ids)

    def _tokenised(self, tokenizer: Any, texts: list[str], ids: list[str]) -> dict[str, Any]:
        own = getattr(tokenizer, "model_max_length", _NO_LIMIT)
        limit = self.max_length or (own if own < _NO_LIMIT else None)
        tokens = tokenizer(
            texts,
            **self.padding,
            padding_side="right",
            truncation=limit is not None,
            max_length=limit,
            return_attention_mask=True,
            return_tensors="pt",
        )
        _refuse_empty(tokens, ids)
        for sample_id, encoding in zip(ids, getattr(tokens, "encodings", None) or [], strict=False):
            if encoding.overflowing:
                self.cut_ids.add(sample_id)
        return dict(tokens)

    def notes(self) -> list[Note]:
        """Say which texts were cut, once the loader was read."""
        if not self.cut_ids:
            return []
        some = f"{len(self.cut_ids)} of {self.n_samples} texts ({listed(sorted(self.cut_ids))})"
        return [Note("texts_cut", f"data: {some} were longer than max_length and were cut.")]


def _refuse_empty(tokens: Mapping[str, Any], ids: list[str]) -> None:
    """Refuse texts of which a tokenizer without special tokens leaves nothing: no row is theirs."""
    held = tokens["attention_mask"].any(dim=1).tolist()
    empty = [sample_id for sample_id, any_token in zip(ids, held, strict=True) if not any_token]
    if empty:
        raise ConfigError(f"data: no token in {listed(empty)}. Leave such lines out.")


def read_texts(path: str, field: str | None = None) -> Texts:
    """Read a text a line, or one field of an object a line.

    Args:
        path: A `.txt` or `.jsonl` file.
        field: Key of the text in a `.jsonl` file; `text` where it is None.

    Returns:
        The texts and their ids.

    Raises:
        ConfigError: No such file, another kind of file, a line without the field, or no text.
    """
    file = local_path(path)
    if file.suffix not in (".txt", ".jsonl"):
        raise ConfigError(f"path: expected a .txt or .jsonl file, got {path!r}")
    if field is not None and file.suffix == ".txt":
        raise ConfigError(f"field: a .txt file has no fields; {path!r} is a line a sample")
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")  # a mark in front is no text
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ConfigError(f"path: cannot read {path!r}: {reason}") from error
    texts, ids = [], []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            where = f"line {number} of {path!r}"
            texts.append(line.strip() if file.suffix == ".txt" else _of(line, field, where))
            ids.append(f"{file.name}:{number}")
    if not texts:
        raise ConfigError(f"path: {path!r} holds no text")
    return Texts(texts, ids)


def _of(line: str, field: str | None, where: str) -> str:
    """Return the text of one line of JSON."""
    name = "text" if field is None else field
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"path: {where} is not JSON: {error}") from error
    if not isinstance(record, dict):
        raise ConfigError(f"path: expected an object in {where}, got {type(record).__name__}")
    if name not in record:
        close = did_you_mean(name, record) or f"; it has {listed(record)}"
        raise ConfigError(f"field: {where} has no {name!r}{close}")
    text = record[name]
    if not isinstance(text, str):
        got = type(text).__name__
        raise ConfigError(f"field: expected text as {name!r} in {where}, got {got}")
    return text


def _load(spec: Mapping[str, Any]) -> Any:
    tokenizer = load_tokenizer(spec)
    if getattr(tokenizer, "pad_token", "") is None:  # masked out: any token will do
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    return tokenizer


def _equal(first: Any, second: Any) -> bool:
    """Whether two tokenizers give the same tokens for every text."""
    try:
        backends = [each.backend_tokenizer.to_str() for each in (first, second)]
    except AttributeError:  # not one of the fast kind, which alone can be told apart
        return False
    settings = ("pad_token_id", "model_max_length", "model_input_names", "truncation_side")
    same = all(getattr(first, name) == getattr(second, name) for name in settings)
    return same and backends[0] == backends[1]


_TOKENIZERS = Preparation("tokenizer", "tokenizer", "input_ids", _load, _equal)

"""The first rows of a task as a measure of its prompts: for plans that are made again at every move of a slider.

A task on the user's own rows, or of the starter world, has no known lengths but those of its cluster's middle task,
which may be ten times as long. Its first rows under all its templates tell within a few percent.

Invariant: nothing is downloaded, and what was measured once is kept while task file and rows stay as they are.
Cost: 45 ms a task, once a process. Rejected: the exact survey, which reads all rows and does the leak check.
"""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from openflan.errors import UserError
from openflan.mixture.lengths import BytesPerToken, KnownLengths, LengthCurve
from openflan.prompts.options import options_block
from openflan.prompts.render import Prompt, TaskRenderer
from openflan.tasks.catalog import Entry
from openflan.tasks.local import folders_of
from openflan.tasks.sources import SourceRow, load_rows, load_twin, rows_at_hand

__all__ = ["counted_rows", "local_rate", "sampled_lengths"]

Kept = TypeVar("Kept")

_ROWS = 48
_PROMPTS = 40
"""Prompts that tell how many bytes a token has."""
_MOST = 1_000
"""Tasks that are kept."""
_kept: dict[tuple[Any, ...], Any] = {}


def sampled_lengths(entry: Entry, *, data: Path | None, reference: BytesPerToken) -> KnownLengths | None:
    """Lengths of the prompts of a task's first training rows; None where no rows are at hand, or they are at fault.

    Args:
        reference: what the reference tokenizer makes of texts of this kind.
    """

    def measure() -> KnownLengths | None:
        prompts = _prompts(entry, _first_rows(entry, data))
        if not prompts:
            return None
        blocks = (options_block(prompt.answer.options) if prompt.answer.options else "" for prompt in prompts)
        shown = [
            len(block.encode()) if block and block in prompt.input else 0
            for prompt, block in zip(prompts, blocks, strict=True)
        ]
        return KnownLengths(
            input=LengthCurve.of(len(prompt.input.encode()) for prompt in prompts),
            target=LengthCurve.of(len(prompt.target.encode()) for prompt in prompts),
            reference=reference,
            options=sum(shown) / len(shown),
            origin="rows",
        )

    return _once(("lengths", reference, *_state(entry, data)), measure)


def counted_rows(entry: Entry) -> int | None:
    """Training rows of a task on the user's own files, whose file does not say how many; None of any other."""
    if not entry.spec.source.local_files:
        return None

    def count() -> int | None:
        try:
            return len(load_rows(entry, "train"))
        except UserError:
            return None

    return _once(("rows", *_state(entry, None)), count)


def local_rate(entry: Entry, folder: Path, *, data: Path | None, sampled: bool) -> BytesPerToken | None:
    """Bytes a token of a local tokenizer on a task's prompts; None where there is no tokenizer, or no rows.

    Args:
        folder: the model's.
        sampled: whether to look at the task's first rows where they are at hand, and not at its twin.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        return None

    def measure() -> BytesPerToken | None:
        rows = _first_rows(entry, data) if sampled else []
        if not rows:
            try:
                rows = load_twin(entry)
            except UserError:
                return None  # no twin
        prompts = _prompts(entry, rows)
        some = prompts[:: max(1, len(prompts) // _PROMPTS)]
        return None if not some else BytesPerToken(
            input=_rate(path, [prompt.input for prompt in some]), target=_rate(path, [prompt.target for prompt in some])
        )  # fmt: skip

    return _once(("rate", str(path), path.stat().st_mtime_ns, sampled, *_state(entry, data)), measure)


def _once(key: tuple[Any, ...], make: Callable[[], Kept]) -> Kept:
    """What was made under a key, or is made now."""
    if key not in _kept:
        if len(_kept) >= _MOST:
            _kept.clear()
        _kept[key] = make()
    value: Kept = _kept[key]
    return value


def _state(entry: Entry, data: Path | None) -> tuple[Any, ...]:
    """What a task's prompts depend on."""
    files = [entry.path.parent / Path(name).expanduser() for name in (entry.spec.source.local_files or {}).values()]
    stamps = [path.stat().st_mtime_ns for path in (*files, *folders_of(entry, data)) if path.exists()]
    return (entry.spec.name, entry.spec.fingerprint, str(entry.path), str(data), *stamps)


def _first_rows(entry: Entry, data: Path | None) -> list[SourceRow]:
    if not rows_at_hand(entry, "train", data=data):
        return []
    try:
        return load_rows(entry, "train", data=data, limit=_ROWS)
    except UserError:
        return []


def _prompts(entry: Entry, rows: Sequence[SourceRow]) -> list[Prompt]:
    """Rows under every template that fits them; what can't be rendered is passed over."""
    prompts: list[Prompt] = []
    try:
        renderer = TaskRenderer(entry)
    except UserError:
        return prompts
    for row in rows:
        try:
            prompts += [renderer.render(row, number) for number in renderer.applicable(row)]
        except UserError:
            continue
    return prompts


def _rate(path: Path, texts: Sequence[str]) -> float:
    encodings = _tokenizer(path, path.stat().st_mtime_ns).encode_batch_fast(list(texts), add_special_tokens=False)
    return sum(len(text.encode()) for text in texts) / max(1, sum(len(one.ids) for one in encodings))


@cache
def _tokenizer(path: Path, _written: int) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(path))

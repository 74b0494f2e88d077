"""A file of rows as text: compression undone, byte encoding known.

UTF-8 is read, with or without its mark; UTF-16 and UTF-32 are read where their mark says so. Anything else must be
stated (`source.encoding`), for no program can tell cp1252 from Latin-1 or cp1250: a file that is not UTF-8 is refused
with the likely encodings and what each makes of the place in question.

Invariant: a text that comes out holds every character of the file, or the error names the line. Cost: the decoder's.
Rejected: guessing and going on, which turns "niño" into "nińo" in every prompt and tells nobody.
"""

import bz2
import codecs
import contextlib
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from openflan.errors import UserError
from openflan.tasks.restarts import RestartPoints, open_gzip

__all__ = ["COMPRESSED", "encoding_of", "open_bytes", "open_text", "stem_of", "unpacked_size"]

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
"""Endings of compressed files."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 200_000
"""Bytes around a faulty one that its encoding is guessed from."""
_GZIP_END = 4
_AROUND = 12
"""Characters shown on either side of it."""
_CANDIDATES = 3


def stem_of(path: Path) -> str:
    """A file's name without what says that it is compressed."""
    return path.name.removesuffix(path.suffix) if path.suffix in COMPRESSED else path.name


def unpacked_size(path: Path) -> int:
    """Bytes of a file, unpacked where that is told at once: a gzip file ends with what it holds, modulo 4 GiB."""
    size = path.stat().st_size
    if path.suffix != ".gz" or size < _GZIP_END:
        return size
    with path.open("rb") as file:
        file.seek(-_GZIP_END, io.SEEK_END)
        return max(size, int.from_bytes(file.read(_GZIP_END), "little"))


@contextlib.contextmanager
def open_bytes(path: Path, points: RestartPoints | None = None) -> Iterator[BinaryIO]:
    """A file's bytes, decompressed.

    Args:
        path: the file.
        points: makes going to a place in a gzip file quick, where somebody has read as far.

    Raises:
        UserError: it can't be opened, or is damaged (while it is read, too).
    """
    with _readable(path), _opened(path, points) as file:
        yield file


def _opened(path: Path, points: RestartPoints | None) -> BinaryIO:
    if points is not None and path.suffix == ".gz":
        return open_gzip(path, points)
    kind: Any = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}.get(path.suffix)
    if kind is not None:
        return cast(BinaryIO, kind(path, "rb"))
    if path.suffix == ".zst":
        import pyarrow as pa

        return io.BufferedReader(pa.CompressedInputStream(str(path), "zstd"))
    return path.open("rb")


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (PermissionError, FileNotFoundError, IsADirectoryError) as error:
        raise UserError(f"can't be read: {error.strerror}", where=str(path), how="check its permissions") from None
    except (OSError, EOFError, zlib.error, lzma.LZMAError):  # a bad gzip file and pyarrow's errors are OSErrors
        kind = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}.get(path.suffix, "")
        raise UserError(f"a damaged {kind} file", where=str(path), how="copy or compress it again") from None


def encoding_of(path: Path) -> str:
    """The encoding that a file's first bytes state; UTF-8 where they state none."""
    with open_bytes(path) as file:
        start = file.read(4)
    return next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8")


@contextlib.contextmanager
def open_text(path: Path, encoding: str | None = None) -> Iterator[io.TextIOWrapper]:
    """A file's text, line ends as they are.

    Args:
        encoding: what the user says it is; by default what its first bytes say, or UTF-8.

    Raises:
        UserError: it can't be opened, is damaged, or is not of that encoding (while it is read, too).
    """
    name = encoding_of(path) if encoding is None or encoding.lower() in ("utf-8", "utf8") else encoding
    try:
        with open_bytes(path) as file, io.TextIOWrapper(file, encoding=name, newline="") as text:
            yield text
    except UnicodeDecodeError:
        raise _other_encoding(path, name) from None


def _other_encoding(path: Path, encoding: str) -> UserError:
    with open_bytes(path) as file:
        content = file.read()
    try:
        content.decode(encoding)
        place = 0
    except UnicodeDecodeError as error:
        place = error.start
    line = content.count(b"\n", 0, place) + 1
    likely = _likely(content, place) if encoding.startswith("utf-8") else []
    perhaps = f"; perhaps {' or '.join(f'{name} ({text!r})' for name, text in likely)}" if likely else ""
    return UserError(
        f"not {'UTF-8' if encoding.startswith('utf-8') else encoding}{perhaps}",
        where=f"{path}, line {line}",
        how="save the file as UTF-8, or say the right one in source.encoding",
    )


def _likely(content: bytes, place: int) -> list[tuple[str, str]]:
    """Encodings that a file may have, with what each makes of the place in question."""
    import charset_normalizer

    start = max(0, place - _SAMPLE // 2)
    sample = content[start : place + _SAMPLE // 2]
    names = [match.encoding for match in charset_normalizer.from_bytes(sample, threshold=0.3)]
    readings: dict[str, str] = {}
    for name in dict.fromkeys([*names[:1], "cp1252", "latin-1", *names[1:]]):
        try:
            before, after = sample[: place - start].decode(name), sample[place - start :].decode(name)
        except UnicodeDecodeError:
            continue
        text = " ".join((before[-_AROUND:] + after[:_AROUND]).split())
        if text not in readings.values():
            readings[name] = text
    return list(readings.items())[:_CANDIDATES]

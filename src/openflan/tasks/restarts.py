"""A gzip file read from its middle: the state of unpacking is kept every few megabytes, as far as somebody has read.

    points = RestartPoints()
    with open_gzip(path, points) as file:
        file.seek(60_000_000)

Invariant: the bytes are those of `gzip.open`, and a damaged file ends in an error as there. Cost: 40 kB a point, 32 of
them at most a file, whatever its size; to unpack 65 MB once takes 0.2 s, the way from one point to the next 15 ms.
Rejected: an index beside the file, which would be written where the data is; other packings, whose decoders in Python
can't be copied.
"""

import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

__all__ = ["RestartPoints", "open_gzip"]

_APART = 4 << 20
"""Unpacked bytes between two points; twice as many each time when there are `_MOST` of them."""
_MOST = 32
_AT_ONCE = 1 << 17
_GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, kw_only=True, slots=True)
class _Point:
    """A place from which unpacking can go on."""

    at: int
    """Bytes that were unpacked before it."""
    packed: int
    """The byte of the file that is read next."""
    state: Any
    """zlib's; it is copied, never gone on with."""


class RestartPoints:
    """Where unpacking a file can go on, in ascending order; it can be shared by threads."""

    def __init__(self) -> None:
        self._points: tuple[_Point, ...] = ()
        self._apart = _APART

    def __len__(self) -> int:
        return len(self._points)

    def before(self, place: int) -> _Point | None:
        """The last point at or before a byte of what is unpacked; None where there is none."""
        return next((point for point in reversed(self._points) if point.at <= place), None)

    def pass_by(self, at: int, packed: int, state: Any) -> None:
        """Keep a point where it lies far enough behind the last.

        Args:
            at: bytes that were unpacked so far.
            packed: the byte of the file that is read next.
            state: zlib's, which is copied.
        """
        points = self._points
        if at - (points[-1].at if points else 0) < self._apart:
            return
        points = (*points, _Point(at=at, packed=packed, state=state.copy()))
        if len(points) > _MOST:
            points, self._apart = points[1::2], 2 * self._apart
        self._points = points


def open_gzip(path: Path, points: RestartPoints) -> BinaryIO:
    """A gzip file's bytes, unpacked; going to a place begins at the nearest point before it.

    Args:
        path: the file.
        points: kept between one opening and the next, as long as the file is not written.
    """
    return cast(BinaryIO, io.BufferedReader(_Unpacked(path, points), _AT_ONCE))


class _Unpacked(io.RawIOBase):
    """What `open_gzip` buffers."""

    def __init__(self, path: Path, points: RestartPoints) -> None:
        self._file = path.open("rb", buffering=0)
        self._points = points
        self._begin(None)

    def _begin(self, point: _Point | None) -> None:
        self._at = point.at if point else 0
        self._file.seek(point.packed if point else 0)
        self._waiting = b""
        """Read, not unpacked yet."""
        self._inside = point is not None
        """Whether a member was begun and not ended."""
        self._state: Any = point.state.copy() if point else None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        assert whence in (io.SEEK_SET, io.SEEK_CUR), "the end is not known"
        place += self._at if whence == io.SEEK_CUR else 0
        point = self._points.before(place)
        if place < self._at or (point is not None and point.at > self._at):
            self._begin(point)
        scratch = memoryview(bytearray(_AT_ONCE))
        while self._at < place and self.readinto(scratch[: place - self._at]):
            pass
        return self._at

    def readinto(self, buffer: Any) -> int:
        room = memoryview(buffer).cast("B")
        while room:
            self._waiting = self._waiting or self._file.read(_AT_ONCE)
            ended = not self._waiting
            if not self._inside:
                self._waiting = self._waiting.lstrip(b"\0" if self._state else b"")  # members may be padded
                if ended:
                    return 0
                if not self._waiting:
                    continue
                self._state, self._inside = zlib.decompressobj(_GZIP), True
            data = self._state.decompress(self._waiting, len(room))
            self._waiting = self._state.unconsumed_tail
            if self._state.eof:
                self._waiting, self._inside = self._state.unused_data, False
            elif ended and not data:
                raise EOFError("the file ends before its end is marked")
            if data:
                room[: len(data)] = data
                self._at += len(data)
                if self._inside:
                    self._points.pass_by(self._at, self._file.tell() - len(self._waiting), self._state)
                return len(data)
        return 0

    def close(self) -> None:
        self._file.close()
        super().close()

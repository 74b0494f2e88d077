"""What a table is shows in what its columns hold, whatever they are called."""

import itertools
import random

import pytest

from openflan.own.profile import columns_of
from openflan.own.recognise import recognise
from openflan.own.wording import word_labels

DRAW = random.Random(0)
NAMES = ["Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana", "Ida", "Jon", "Kit", "Lou"]
THINGS = ["kite", "boat", "lamp", "goat", "clock", "drum", "chair", "map", "coin", "shell", "rope", "stone"]
PLACES = ["by the sea", "in the old barn", "near the mill", "on the hill", "under the bridge", "at the market"]


SURNAMES = ["Moor", "Field", "Wood", "Hill", "Brook"]
LOOKS = ["red", "old", "small", "broken", "heavy", "painted", "plain"]


def story(n):
    name, thing = f"{NAMES[n % 12]} {SURNAMES[n % 5]}", f"{LOOKS[n % 7]} {THINGS[(n * 5) % 12]}"
    place = PLACES[(n * 7) % 6]
    return name, thing, place, f"On day {n} {name} found a {thing} {place} and took it home before the rain began."


def rows_of(kind, count=60):
    rows = []
    for n in range(count):
        name, thing, place, text = story(n)
        other, rival = story(n + 17)[1], story(n + 29)[0]
        right = n % 2
        pair = [other, thing] if right else [thing, other]
        rows.append(
            {
                "inference": {"a": text, "b": f"{name} found a {thing if right else other}.", "c": right},
                "spans": {"a": text + " " + story(n + 1)[3], "b": f"What did {name} find on day {n}?", "c": thing},
                "passage, yes or no": {"a": text + " The village talked about it for many weeks after that, and some"
                                       " people said that they had seen it all before in another year.",
                                       "b": f"did {name} find a {thing if right else other}", "c": right},
                "candidates": {"a": f"What did {name} take home {place}?", "b": pair[0] + " of wood",
                               "c": pair[1] + " of wood", "d": "AB"[right]},
                "pronoun": {"a": f"{name} thanked {rival} since _ had found the {thing} {place}.", "b": name,
                            "c": rival, "d": 1 + right},
                "summary": {"a": text + " " + text.replace("day", "night"), "b": f"{name} finds a {thing} {place}"},
                "sense": {"a": thing.split()[1], "b": f"{name} lost the {thing} {place}.",
                          "c": f"A {thing.split()[1]} is what {rival} saw.", "d": bool(right)},
                "choices in a cell": {"a": f"Which did {name} find {place}?", "b": [*pair, "nothing"], "c": right},
                "facts": {"a": f"{name} | found | {thing} ; {thing} | stood | {place}",
                          "b": f"{name} found a {thing} that stood {place} for a long time."},
            }[kind]
        )  # fmt: skip
    return rows


def renamed(rows, names):
    keys = list(rows[0])
    order = DRAW.sample(range(len(keys)), len(keys))
    return [{names[place]: row[keys[place]] for place in order} for row in rows]


EXPECTED = {
    "inference": ("inference", 2),
    "spans": ("passage_question", 2),
    "passage, yes or no": ("passage_yes_no", 2),
    "candidates": ("multiple_choice", 3),
    "pronoun": ("pronoun", 3),
    "summary": ("summary", 1),
    "sense": ("word_sense", 3),
    "choices in a cell": ("multiple_choice", 2),
    "facts": ("data_to_text", 1),
}


@pytest.mark.parametrize("names", [("col_a", "col_b", "col_c", "col_d"), ("target", "id", "notes", "label")], ids=str)
@pytest.mark.parametrize("kind", EXPECTED)
def test_a_table_is_read_by_what_it_holds(kind, names):
    rows = renamed(rows_of(kind), names)
    recognised = recognise(columns_of(rows, cells=False))
    expected, answer = EXPECTED[kind]
    assert recognised.best.kind == expected
    assert recognised.best.answer.path == names[answer]


def test_what_is_no_part_of_a_task_is_set_aside_with_its_reason():
    rows = [
        {
            **row,
            "nr": 7_000 + n,
            "code": f"x{n}-ab",
            "lang": "en",
            "split": ["train", "dev"][n % 2],
            "seen": "2024-05-01",
        }
        for n, row in enumerate(rows_of("inference"))
    ]
    aside = recognise(columns_of(rows, cells=False)).best.aside
    assert aside["nr"] == aside["code"] == "codes, one a row"
    assert aside["lang"].startswith("the same in every row")
    assert aside["split"] == "says which split a row is of"
    assert set(aside) == {"nr", "code", "lang", "split", "seen"}


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1", "2", "", "3"], "int", [1, 2, None, 3]),
        (["1.5", "nan", "2"], "float", [1.5, None, 2.0]),
        (["True", "false"], "bool", [True, False]),
        (["007", "010", "012"], "text", ["007", "010", "012"]),
        (["None", "Refund", "None"], "text", ["None", "Refund", "None"]),
        (["['a', 'b']", "['c']"], "texts", [["a", "b"], ["c"]]),
    ],
)
def test_cells_of_texts_are_read_as_what_they_stand_for(cells, kind, values):
    (column,) = columns_of([{"x": cell} for cell in cells], cells=True)
    assert (column.kind, column.values) == (kind, values)


def test_a_label_with_a_separator_in_it_is_one_label():
    kinds = ["World", "Sports", "Sci/Tech"]
    rows = [{"a": story(n)[3], "b": kinds[n % 3]} for n in range(60)]
    best = recognise(columns_of(rows, cells=True)).best
    assert (best.kind, best.answer.path) == ("classification", "b")
    assert best.answer.classes == ("Sci/Tech", "Sports", "World")


def test_an_answer_in_a_hundred_that_no_candidate_stands_for_hides_no_candidates():
    rows = []
    for n in range(240):
        texts = {letter: f"{story(n * 5 + place)[1]} {story(n + place)[2]}" for place, letter in enumerate("ABCDE")}
        texts["E"] = texts["E"] if n == 7 else ""  # a fifth candidate, in one row
        answer = "E" if n == 7 else "ABCD"[(n * 3) % 4]
        rows.append({"asked": f"What did {story(n)[0]} find {story(n)[2]}?", **texts, "key": answer})
    best = recognise(columns_of(rows, cells=True)).best
    assert best.kind == "multiple_choice"
    assert [column.path for column in best.options.columns] == list("ABCDE")


def who_is_meant(n):
    """A sentence with a pronoun, and two that it may mean, whom the sentence calls by another form."""
    one, other = random.Random(n).sample([f"{look} {thing}" for look in LOOKS for thing in THINGS], 2)
    text = f"The {one}s stood beside the {other} of {story(n)[0]}, and they were {LOOKS[n % 7]}."
    return text, f"The {one}", f"The {other}"


@pytest.mark.parametrize("answer", ["text", "place", "second", "list"])
def test_a_pronoun_and_who_it_may_mean_though_the_sentence_says_it_with_other_endings(answer):
    rows = []
    for n in range(120):
        text, one, other = who_is_meant(n)
        pair, right = ([one, other], n % 3 % 2)
        gold = {"text": pair[right], "place": right, "second": bool(right), "list": pair[right]}[answer]
        columns = {"cands": pair} if answer == "list" else {"x": one, "y": other}
        rows.append({"gold": gold, **columns, "word": ["they", "they", "which"][n % 3], "line": text})
    for row in rows:
        row["line"] = row["line"].replace("they", row["word"])
    best = recognise(columns_of(rows, cells=False)).best
    assert (best.kind, best.cluster, best.answer.path) == ("pronoun", "coreference", "gold")
    assert {part: column.path for part, column in best.parts.items()} == {"text": "line", "pronoun": "word"}


def test_a_question_about_a_sentence_is_no_pronoun_of_it():
    rows = []
    for n in range(120):
        text, one, other = who_is_meant(n)
        question = f"Which of them were {LOOKS[n % 7]}, as {story(n)[0]} saw?"
        rows.append({"line": text, "one": one, "two": other, "asked": question, "gold": n % 2})
    best = recognise(columns_of(rows, cells=False)).best
    assert best.kind in ("passage_multiple_choice", "multiple_choice")
    assert "asked" in {column.path for column in best.parts.values()}


GLAD, SORRY = ["great", "lovely", "perfect", "friendly"], ["awful", "boring", "useless", "broken"]


@pytest.mark.parametrize("answer", ["0/1", "topics", "stars"])
def test_a_heading_and_a_text_are_classified_together(answer):
    draw, rows = random.Random(1), []
    for n in range(160):
        felt, words = n % 2, draw.choices((SORRY, GLAD)[n % 2], k=3)
        text = f"{story(n)[3]} It was {words[0]}, {words[1]} and {words[2]} on day {n}."
        topic, stars = draw.choice(["toys", "boats", "walks", "trade"]), 1 + 2 * felt + n % 3
        heading = " ".join(draw.sample([*THINGS, *LOOKS], 3))
        rows.append({"x": heading, "y": text, "z": {"0/1": felt, "topics": topic, "stars": stars}[answer]})
    best = recognise(columns_of(rows, cells=False)).best
    assert best.kind == ("rating" if answer == "stars" else "classification")
    assert ([one.path for one in best.parts.values()], [one.path for one in best.extras]) == (["y"], ["x"])


def test_a_subject_is_a_heading_by_its_name_though_its_words_stand_in_the_body():
    rows = [
        {"subject": f"{story(n)[1]} {story(n)[2]}", "body": story(n)[3] + " " + story(n + 5)[3], "spam": n % 2}
        for n in range(80)
    ]
    best = recognise(columns_of(rows, cells=False)).best
    assert (best.kind, best.answer.path, [column.path for column in best.headings]) == (
        "classification", "spam", ["subject"],
    )  # fmt: skip


WORDS = ["".join(pair) for pair in itertools.product(["ka", "lo", "mi", "ne", "su", "ta", "ve"], repeat=3)]


def overlapping(draw, kept, count=10):
    """Two texts of as many words, some of which are the same."""
    words, others = draw.sample(WORDS, count), draw.sample(WORDS, count)
    return " ".join(words), " ".join(words[:kept] + others[kept:])


def test_whole_numbers_that_rise_with_what_two_texts_share_are_a_likeness():
    draw, rows = random.Random(2), []
    for _ in range(200):
        mark = draw.randrange(6)
        one, two = overlapping(draw, 2 * mark)
        rows.append({"one": one, "two": two, "mark": mark})
    best = recognise(columns_of(rows, cells=False)).best
    assert (best.kind, best.options.form) == ("similarity", "scale")


def test_words_between_commas_are_what_a_sentence_is_made_of():
    draw, rows = random.Random(3), []
    for _ in range(120):
        name, thing, look = draw.choice(NAMES), draw.choice(THINGS), draw.choice(LOOKS)
        rows.append({"a": f"{name} saw a {look} {thing} at the market.", "b": f"{thing}, {look}, {name}"})
    best = recognise(columns_of(rows, cells=True)).best
    assert (best.kind, best.answer.path) == ("data_to_text", "a")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["e", "n", "c"], ["follows", "cannot be told", "contradicts"]),
        ([1, 0, -1], ["follows", "cannot be told", "contradicts"]),
        ([1, -1], ["follows", "does not follow"]),
        (["Y", "N"], ["yes", "no"]),
        (["SUPPORTS", "REFUTES"], ["supports", "refutes"]),
    ],
)
def test_labels_of_numbers_and_letters_are_given_words(values, expected):
    draw, rows = random.Random(4), []
    for _ in range(200):
        label = draw.randrange(len(values))
        long, short = overlapping(draw, 6 if label == 0 else 3)
        long += " " + " ".join(draw.sample(WORDS, 8)) + "."
        rows.append({"a": long, "b": " ".join(short.split()[:6]) + ".", "c": values[label]})
    recognised = recognise(columns_of(rows, cells=False))
    assert recognised.best.kind == "inference"
    wording = word_labels(recognised.view, recognised.best)
    words = dict(zip(recognised.best.answer.classes, wording.options, strict=True))
    assert words == dict(zip(values, expected, strict=True))


def test_candidates_of_which_nobody_says_the_order_begin_with_those_that_no_row_lacks():
    rows = []
    for n in range(200):
        offers = random.Random(n).sample([f"{look} {thing}" for look in LOOKS for thing in THINGS], 4)
        row = {"q": f"What did {story(n)[0]} find on day {n}?", "key": "ABCD"[n % 4] if n % 9 else "A"}
        rows.append({"odd": offers[3] if n % 9 else "", "kite": offers[0], "fox": offers[1], "hut": offers[2], **row})
    options = recognise(columns_of(rows, cells=False)).best.options
    assert [column.path for column in options.columns] == ["kite", "fox", "hut", "odd"]

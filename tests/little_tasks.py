"""A user's folder of tasks: five YAML files with 40 training and 12 test rows each.

Tuned on: `cafe_review` (sentiment), `colour_of` (closed-book QA, options in the row) and `card_sentence` (struct to
text, generated). To be held out: `does_it_follow` (inference) and `same_meaning` (paraphrase, its kin).
"""

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import yaml

TRAIN, TEST = 40, 12

_PLACES = ("harbour", "station", "garden", "museum", "corner", "market", "river")
_DISHES = ("soup", "bread", "coffee", "cake", "fish", "salad")
_GOOD, _BAD = ("warm", "fresh", "lovely", "cheap"), ("cold", "stale", "awful", "dear")
_NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana")
_THINGS = ("kite", "lamp", "boat", "drum", "coat", "bell", "rug", "cup")
_COLOURS = ("red", "blue", "green", "white", "black")
_DEEDS = (("bought", "sold"), ("found", "lost"), ("opened", "closed"), ("lit", "put out"))


def write_tasks(folder: Path) -> Path:
    """Write the five tasks into a folder."""
    (folder / "rows").mkdir(parents=True)
    for name, spec in _SPECS.items():
        files = {split: f"rows/{name}-{split}.jsonl" for split in ("train", "test")}
        rows = rows_of(name)
        for split, part in (("train", rows[:TRAIN]), ("test", rows[TRAIN:])):
            text = "".join(json.dumps(row) + "\n" for row in part)
            (folder / files[split]).write_text(text, encoding="utf-8")
        splits = {split: split for split in files}
        task = {"name": name, **spec, "source": {"files": files}, "splits": splits}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(task, sort_keys=False), encoding="utf-8")
    return folder


def rows_of(name: str) -> list[dict[str, Any]]:
    """52 different rows of a task, the labels of a classification in turn."""
    rows = list(_ROWS[name]())
    Random(name).shuffle(rows)
    labels = list(dict.fromkeys(row["label"] for row in rows)) if name in _IN_TURN else []
    if labels:
        piles = [[row for row in rows if row["label"] == label] for label in sorted(labels)]
        rows = [row for turn in zip(*piles, strict=False) for row in turn]
    assert len(rows) >= TRAIN + TEST
    return rows[: TRAIN + TEST]


def all_texts() -> list[str]:
    """Every text of every row and template, to train a tokenizer on."""
    texts = [str(value) for name in _SPECS for row in rows_of(name) for value in row.values()]
    return texts + [template["input"] for spec in _SPECS.values() for template in spec["templates"]]


def _reviews() -> Iterator[dict[str, Any]]:
    for place, dish, (label, words) in product(_PLACES, _DISHES, enumerate((_BAD, _GOOD))):
        word = words[(len(place) + len(dish)) % 4]
        yield {"text": f"The cafe at the {place} serves {word} {dish}.", "label": label}


def _colours() -> Iterator[dict[str, Any]]:
    for name, thing in product(_NAMES, _THINGS):
        random = Random(name + thing)
        options = random.sample(_COLOURS, 3)
        yield {"owner": name, "thing": thing, "choices": options, "colour": random.randrange(3)}


def _cards() -> Iterator[dict[str, Any]]:
    for name, thing in product(_NAMES, _THINGS):
        colour = _COLOURS[(len(name) * len(thing)) % 5]
        first, second = f"{name} has a {colour} {thing}.", f"The {colour} {thing} belongs to {name}."
        yield {"card": {"owner": name, "thing": thing, "colour": colour}, "sentences": [first, second]}


def _inferences() -> Iterator[dict[str, Any]]:
    for name, thing, (deed, undone) in product(_NAMES, _THINGS, _DEEDS):
        premise = f"{name} {deed} the {thing} this morning."
        yield {"premise": premise, "hypothesis": f"{name} {deed} a {thing}.", "label": "entailment"}
        yield {"premise": premise, "hypothesis": f"Nobody {deed} the {thing}.", "label": "contradiction"}
        yield {"premise": premise, "hypothesis": f"{name} {undone} the {thing} last year.", "label": "neutral"}


def _pairs() -> Iterator[dict[str, Any]]:
    for name, thing, (deed, undone) in product(_NAMES, _THINGS, _DEEDS):
        text = f"{name} {deed} the {thing}."
        yield {"first": text, "second": f"The {thing} is what {name} {deed}.", "label": True}
        yield {"first": text, "second": f"{name} {undone} the {thing}.", "label": False}


_ROWS = {
    "cafe_review": _reviews,
    "colour_of": _colours,
    "card_sentence": _cards,
    "does_it_follow": _inferences,
    "same_meaning": _pairs,
}
_IN_TURN = ("cafe_review", "does_it_follow", "same_meaning")

_SPECS: dict[str, dict[str, Any]] = {
    "cafe_review": {
        "cluster": "sentiment",
        "fields": ["text", "label"],
        "answer": {"field": "label", "options": ["negative", "positive"]},
        "metrics": ["accuracy"],
        "templates": [
            {"input": "{{text}}\nIs this review positive or negative?\n{{options}}", "target": "{{answer}}"},
            {"input": "What did the guest feel? {{text}}\n{{options}}"},
            {"input": "Review: {{text}}\nThe tone is"},
            {
                "input": "Write a positive review of a cafe.",
                "target": "{{text}}",
                "inverted": True,
                "when": "answer == 'positive'",
            },
        ],
    },
    "colour_of": {
        "cluster": "closed_book_qa",
        "fields": ["owner", "thing", "choices", "colour"],
        "answer": {"field": "colour", "options_field": "choices"},
        "metrics": ["accuracy"],
        "templates": [
            {"input": "What colour is the {{thing}} of {{owner}}?\n{{options}}"},
            {"input": "{{owner}} has a {{thing}}. Its colour is\n{{options}}"},
            {"input": "{{options}}\nWhich one fits the {{thing}} that {{owner}} owns?"},
            {
                "input": "Ask a question whose answer is {{answer}}.",
                "target": "What colour is the {{thing}} of {{owner}}?",
                "inverted": True,
                "when": "{{answer != option_list[0]}}",
            },
        ],
    },
    "card_sentence": {
        "cluster": "struct_to_text",
        "fields": ["card", "sentences"],
        "answer": {"field": "sentences"},
        "metrics": ["rouge", "bleu"],
        "templates": [
            {"input": "Owner: {{card.owner}}\nThing: {{card.colour}} {{card.thing}}\nSay it in a sentence."},
            {"input": "Put into words: {{card.owner}}, {{card.thing}}, {{card.colour}}"},
            {"input": "Who owns what? Facts: {{card.thing}} ({{card.colour}}), {{card.owner}}."},
            {
                "input": "Which colour is in this sentence? {{answer}}",
                "target": "{{card.colour}}",
                "inverted": True,
                "when": "card.colour != 'red'",
            },
        ],
    },
    "does_it_follow": {
        "cluster": "natural_language_inference",
        "fields": ["premise", "hypothesis", "label"],
        "answer": {
            "field": "label",
            "options": ["yes", "it is not possible to tell", "no"],
            "keys": ["entailment", "neutral", "contradiction"],
        },
        "metrics": ["accuracy"],
        "templates": [
            {"input": "{{premise}}\nDoes it follow that {{hypothesis}}\n{{options}}"},
            {"input": "If {{premise}} is true, is it true that {{hypothesis}}\n{{options}}"},
            {"input": "Premise: {{premise}}\nHypothesis: {{hypothesis}}\n{{options}}\nAnswer:"},
            {
                "input": "Write something that follows from: {{premise}}",
                "target": "{{hypothesis}}",
                "inverted": True,
                "when": "{{answer == 'yes'}}",
            },
        ],
    },
    "same_meaning": {
        "cluster": "paraphrase",
        "fields": ["first", "second", "label"],
        "answer": {"field": "label", "options": ["no", "yes"]},
        "metrics": ["accuracy"],
        "templates": [
            {"input": "{{first}}\n{{second}}\nDo these mean the same?\n{{options}}"},
            {"input": "Is '{{first}}' another way to say '{{second}}'?\n{{options}}"},
            {"input": "One: {{first}}\nTwo: {{second}}\n{{options}}\nSame meaning?"},
            {
                "input": "Say differently: {{first}}",
                "target": "{{second}}",
                "inverted": True,
                "when": "answer == 'yes'",
            },
        ],
    },
}

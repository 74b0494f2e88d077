"""The world: who and what there is, and what is always so.

Words come from the YAML files in `data/`; people, towns and the toy language are made of syllables with a fixed
seed. Everything here is constant: the same names and the same facts for every user and every document seed, so
that a base model knows them and evaluation rows may rely on them.

Invariant: `world()` is a pure function of the package's files. Cost: 50 ms once a process.
Rejected: a few dozen entities: small closed tables are memorised, and no evaluation text can be fresh.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from openflan_starter.chance import Chance

__all__ = ["TOY_VERBS", "Relation", "World", "all_words", "an", "load_data", "world"]

PEOPLE_OF_A_GENDER = 600
TOWNS = 160
TOY_WORDS_SEED = "velan"

_ONSETS = [
    "b",
    "br",
    "c",
    "cl",
    "d",
    "dr",
    "f",
    "fl",
    "g",
    "gr",
    "h",
    "j",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "st",
    "t",
    "tr",
    "v",
    "w",
    "z",
    "th",
    "sh",
]
_VOWELS = ["a", "e", "i", "o", "u", "ai", "ea", "o", "a", "e", "i"]
_MIDDLES = ["l", "r", "n", "m", "d", "b", "v", "s", "nd", "rr", "ll", "nn", "th", "l", "r", "n", "m", "d"]
_HIS_ENDS = ["on", "o", "n", "d", "m", "rt", "ld", "th", "mon", "us", "or", "en"]
_HER_ENDS = ["a", "ia", "ie", "y", "elle", "ana", "ina", "ey"]
_TOWN_ENDS = ["ford", "ham", "wick", "ton", "bury", "dale", "field", "port", "mouth", "stead", "by", "minster"]
_TOY_ONSETS = ["k", "m", "t", "l", "z", "n", "p", "v", "r", "y"]
_TOY_VOWELS = ["a", "e", "i", "o", "u"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Relation:
    """One thing that a story can say about somebody, in several wordings with one meaning."""

    name: str
    kind: str
    says: tuple[str, ...]
    again: str
    asks: str
    value: str
    who: str
    short: str
    other: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """Everything there is."""

    people: tuple[str, ...]
    women: frozenset[str]
    towns: tuple[str, ...]
    kinds: Mapping[str, tuple[str, ...]]
    """Words by what they are: places, objects, foods, ... people and towns among them."""
    relations: tuple[Relation, ...]
    opposites: tuple[tuple[str, str], ...]
    synonyms: tuple[tuple[str, str], ...]
    knowledge: Mapping[str, Mapping[str, str]]
    """Constant facts by relation: animal → what it eats, job → where it is done ..."""
    toy: Mapping[str, str]
    """The toy language: English word → word."""
    events: Mapping[str, Any]
    glue: Mapping[str, tuple[str, ...]]

    def pronouns(self, person: str) -> dict[str, str]:
        """The pronouns of a person, by the word a man's would be."""
        if person in self.women:
            return {"he": "she", "his": "her", "him": "her"}
        return {"he": "he", "his": "his", "him": "him"}

    def relation(self, name: str) -> Relation:
        """The relation of this name."""
        return next(r for r in self.relations if r.name == name)


def an(word: str) -> str:
    """The word with its indefinite article."""
    special = word.startswith(("uni", "use", "ewe"))
    return ("an " if word[0] in "aeiou" and not special else "a ") + word


def load_data(name: str) -> Any:
    """One of the package's data files."""
    return yaml.safe_load(files("openflan_starter").joinpath("data", f"{name}.yaml").read_text("utf-8"))


def _names(chance: Chance, ends: list[str], taken: set[str], n: int) -> tuple[str, ...]:
    names: list[str] = []
    while len(names) < n:
        middle = chance.pick(_MIDDLES) + chance.pick(_VOWELS) if chance.maybe(0.35) else ""
        stem = chance.pick(_ONSETS) + chance.pick(_VOWELS) + middle
        end = chance.pick(ends)
        joint = chance.pick(_MIDDLES) if end[0] in "aeiouy" else ""
        name = (stem + joint + end).capitalize()
        if 4 <= len(name) <= 7 and name.lower() not in taken:
            taken.add(name.lower())
            names.append(name)
    return tuple(names)


def _towns(chance: Chance, taken: set[str]) -> tuple[str, ...]:
    towns: list[str] = []
    while len(towns) < TOWNS:
        stem = chance.pick(_ONSETS) + chance.pick(_VOWELS) + chance.pick(_MIDDLES[:6])
        name = (stem + chance.pick(_TOWN_ENDS)).capitalize()
        if name.lower() not in taken and "dead" not in name.lower():
            taken.add(name.lower())
            towns.append(name)
    return tuple(towns)


def _toy_language(words: list[str], taken: set[str]) -> dict[str, str]:
    chance = Chance(TOY_WORDS_SEED)
    toy: dict[str, str] = {}
    for word in words:
        foreign = word
        while foreign in taken:
            foreign = "".join(chance.pick(_TOY_ONSETS) + chance.pick(_TOY_VOWELS) for _ in range(2 + chance.below(2)))
        taken.add(foreign)
        toy[word] = foreign
    return toy


TOY_VERBS = (
    "sees",
    "likes",
    "has",
    "wants",
    "finds",
    "takes",
    "hears",
    "buys",
    "loves",
    "follows",
    "helps",
    "knows",
)


@cache
def world() -> World:
    """The world, built once a process."""
    raw: dict[str, Any] = load_data("words")
    pairs = {
        key: tuple((a, b) for a, b in (pair.split("/") for pair in raw.pop(key).split()))
        for key in ("opposites", "synonyms")
    }
    kinds = {kind: tuple(line.split()) for kind, line in raw.items()}
    kinds["feelings"] = kinds["happy_feelings"] + kinds["bad_feelings"]
    glue = {topic: tuple(lines) for topic, lines in load_data("glue").items()}
    knowledge = {
        relation: {key: value for value, keys in table.items() for key in keys.split()}
        for relation, table in load_data("knowledge").items()
        if relation != "used_for"
    }
    knowledge["used_for"] = {tool: use for use, tool in load_data("knowledge")["used_for"].items()}

    taken = {w.lower() for words in kinds.values() for w in words}
    taken |= {w for pair in pairs["opposites"] + pairs["synonyms"] for w in pair}
    taken |= {w.strip("{},.:?") for lines in glue.values() for line in lines for w in line.split()}
    chance = Chance("openflan-world")
    men = _names(chance, _HIS_ENDS, taken, PEOPLE_OF_A_GENDER)
    women = _names(chance, _HER_ENDS, taken, PEOPLE_OF_A_GENDER)
    towns = _towns(chance, taken)
    people = tuple(name for pair in zip(men, women, strict=True) for name in pair)
    kinds |= {"people": people, "towns": towns}

    knowledge["region_of"] = {town: chance.pick(kinds["regions"]) for town in towns}
    knowledge["famous_for"] = {town: chance.pick(kinds["foods"][:60]) for town in towns}
    knowledge["capital_of"] = {
        region: chance.pick([t for t in towns if knowledge["region_of"][t] == region] or list(towns))
        for region in kinds["regions"]
    }
    knowledge["born_in"] = {person: chance.pick(towns) for person in people[:200]}
    words = [*kinds["animals"][:45], *kinds["foods"][:30], *kinds["objects"][:40], *kinds["places"][:30]]
    words += [
        *kinds["jobs"][:20],
        *kinds["colours"][:10],
        "big",
        "small",
        "old",
        "young",
        "good",
        "bad",
        "fast",
        "slow",
    ]
    words += ["man", "woman", "child", "girl", "boy", "not", "and", *TOY_VERBS]
    toy = _toy_language(list(dict.fromkeys(words)), set(taken) | set(words))
    relations = tuple(
        Relation(name=name, **{**fields, "says": tuple(fields["says"])})
        for name, fields in load_data("relations").items()
    )
    return World(
        people=people,
        women=frozenset(women),
        towns=towns,
        kinds=kinds,
        relations=relations,
        opposites=pairs["opposites"],
        synonyms=pairs["synonyms"],
        knowledge=knowledge,
        toy=toy,
        events=load_data("events"),
        glue=glue,
    )


def all_words(w: World) -> list[str]:
    """Every word that the world can say, each once: what a tokenizer should know whole."""
    lines = [line for group in w.glue.values() for line in group]
    lines += [form for r in w.relations for form in (*r.says, r.again, r.asks, r.value, r.who)]
    words_used = [word for line in lines for word in re.findall("[a-z]+", re.sub("{.*?}", "", line.lower()))]
    words_used += [word for words in w.kinds.values() for word in words]
    words_used += [word for pair in (*w.opposites, *w.synonyms) for word in pair]
    words_used += w.toy.values()
    return list(dict.fromkeys(word.lower() for word in words_used))

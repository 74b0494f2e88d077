"""Rows about words and texts: translation, sentences from records, gists, and the miscellany."""

from openflan_starter.chance import Chance, Domain, until
from openflan_starter.episodes import DAY_SENTENCES, draw_day
from openflan_starter.facts import Fact, draw_fact, say, sentence, wording
from openflan_starter.row_maker import Maker, StarterRow, place
from openflan_starter.talk import draw_card, draw_sum, fill_glue
from openflan_starter.toylang import draw_bilingual
from openflan_starter.world import World

__all__ = ["LANGUAGE"]

_LABELS = {"job": "job", "lives": "home", "likes": "food", "pet": "pet", "hobby": "hobby", "plays": "instrument"}
_ASKED: dict[str, tuple[str, ...]] = {
    "person": (
        "who taught {t} to use the {x}",
        "who went with {s} to the {p}",
        "who sold {f} to {s}",
        "who lost the {x} at the {p}",
        "whose {n} followed {s} to the {p}",
    ),
    "place": (
        "where did {s} leave the {x}",
        "where will {s} take the {n}",
        "where can {s} get some {f}",
        "where does {s} keep the {c} {x}",
        "in which room did {s} see the {n}",
    ),
    "number": (
        "how many {n}s did {s} see at the {p}",
        "how many {x}s does {s} need",
        "how many people came to the {p} with {s}",
        "how many days did {s} wait for {t}",
        "how many plates of {f} did {s} eat",
    ),
    "time": (
        "when did {s} come home from the {p}",
        "when does the {p} of {s} open",
        "at what hour did {s} meet {t}",
        "when will {s} bring the {x}",
        "on what day did {t} find the {n}",
    ),
    "reason": (
        "why did {s} go to the {p} with {t}",
        "why did {s} sell the {x}",
        "for what reason did {t} leave the {p}",
        "why was {s} angry with {t}",
        "why does {s} never eat {f}",
    ),
    "thing": (
        "what did {s} bring to {t} from the {p}",
        "what was in the bag of {s} at the {p}",
        "what did {s} find under the {x}",
        "what will {s} buy for {t}",
        "what fell on the {x} of {s}",
    ),
}
_NOUNS = {
    "animals": "animals",
    "foods": "foods",
    "places": "places",
    "jobs": "jobs",
    "garments": "garments",
    "colours": "colours",
    "instruments": "instruments",
}


def _to_english(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    b = draw_bilingual(w, chance, domain)
    return {"velan": b.velan, "english": b.english}


def _velan_pick(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    """Which English sentence the Velan one is; the wrong ones differ in a word or in who does it."""
    b = draw_bilingual(w, chance, domain)
    wrong: list[str] = []
    while len(wrong) < 2:
        other = draw_bilingual(w, chance, domain)
        words, theirs = b.english.split(), other.english.split()
        verb = next(i for i, word in enumerate(words) if i > 1 and word not in ("the",) and words[i + 1] == "the")
        if chance.maybe(0.5):
            changed = [*words[: verb + 1], "the", theirs[-1]]
        else:
            changed = ["the", theirs[1] if theirs[1] not in words else theirs[-1], *words[verb:]]
        text = " ".join(changed)
        if text != b.english and text not in wrong:
            wrong.append(text)
    return {"velan": b.velan, "choices": place(b.english, wrong, label), "label": label}


def _record(facts: list[Fact]) -> str:
    return "\n".join([f"name: {facts[0].person}", *(f"{_LABELS[f.relation.name]}: {f.value}" for f in facts)])


def _sentence_of(w: World, facts: list[Fact]) -> str:
    """The plain sentence of a card: first wording of each fact, the second with a pronoun."""
    first, *rest = facts
    parts = [say(w, first, first.relation.says[0])]
    parts += [say(w, f, f.relation.again) for f in rest]
    return sentence(" and ".join(parts))


def _card_text(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    facts = draw_card(w, chance, domain, 1 + chance.below(2))
    return {"record": _record(facts), "text": _sentence_of(w, facts)}


def _card_pick(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    facts = draw_card(w, chance, domain, 2)
    wrong: list[str] = []
    for i in chance.shuffled((0, 1)):
        changed = draw_fact(w, chance, domain, facts[i].relation, facts[i].person)
        if changed is None or changed == facts[i]:
            return None
        wrong.append(_sentence_of(w, [changed if j == i else f for j, f in enumerate(facts)]))
    return {"record": _record(facts), "choices": place(_sentence_of(w, facts), wrong, label), "label": label}


def _gist(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    day = draw_day(w, chance, domain, DAY_SENTENCES)
    return {"text": " ".join(day.sentences), "gist": sentence(day.gist)}


def _title(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    day = draw_day(w, chance, domain, DAY_SENTENCES)
    wrong = [a for a in chance.some(list(w.events["days"]), 4) if a != day.activity][:3]
    return {"text": " ".join(day.sentences), "choices": place(day.activity, wrong, label), "label": label}


def _question_sort(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    """What sort of thing a question asks for."""

    def make() -> tuple[str, tuple[str, str]]:
        right = chance.pick(list(_ASKED))
        question = sentence(fill_glue(w, chance, chance.pick(_ASKED[right])), "?")
        return question, (question, right)

    question, right = until(domain, make)
    wrong = chance.some([sort for sort in _ASKED if sort != right], 3)
    return {"question": question, "choices": place(right, wrong, label), "label": label}


def _odd_one(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    """Three words of a kind and one of another."""

    def make() -> tuple[str, tuple[list[str], str]]:
        kind, other = chance.some(list(_NOUNS), 2)
        alike = chance.some(w.kinds[kind], 3)
        odd = chance.pick([x for x in w.kinds[other] if x not in w.kinds[kind]])
        return " ".join(sorted([*alike, odd])), (alike, odd)

    alike, odd = until(domain, make)
    choices = place(odd, alike, label)
    return {"words": ", ".join(choices), "choices": choices, "label": label}


def _word_order(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    """A sentence as it should be, or with two neighbouring words exchanged."""
    relation = chance.pick([r for r in w.relations if not r.other and r.kind != "people"])
    fact = draw_fact(w, chance, domain, relation, chance.pick(w.people))
    if fact is None:
        return None
    words = wording(w, chance, fact).split()
    if len(words) < 4:
        return None
    if label == 1:
        i = 1 + chance.below(len(words) - 2)
        words[i], words[i + 1] = words[i + 1], words[i]
    return {"sentence": sentence(" ".join(words)), "label": label}


def _sum(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    s = draw_sum(w, chance, domain)
    wrong = [n for n in chance.shuffled(range(max(0, s.answer - 6), s.answer + 7)) if n != s.answer][:3]
    return {"sum": s.text, "choices": place(str(s.answer), [str(n) for n in wrong], label), "label": label}


LANGUAGE: dict[str, Maker] = {
    "velan_to_english": Maker(make=_to_english, classes=1, context="english"),
    "english_to_velan": Maker(make=_to_english, classes=1, context="english"),
    "velan_pick": Maker(make=_velan_pick, classes=3, context="velan"),
    "card_to_text": Maker(make=_card_text, classes=1, context="text"),
    "card_pick": Maker(make=_card_pick, classes=3, context="record"),
    "day_gist": Maker(make=_gist, classes=1, context="text"),
    "title_pick": Maker(make=_title, classes=4, context="text"),
    "question_sort": Maker(make=_question_sort, classes=4, context="question"),
    "odd_one_out": Maker(make=_odd_one, classes=4, context="words"),
    "word_order": Maker(make=_word_order, classes=2, context="sentence"),
    "sum_pick": Maker(make=_sum, classes=4, context="sum"),
}

"""Rows about stories: inference, paraphrase, reading comprehension and coreference.

All of them need binding: who was where, who had what. Wrong answers come from the same story where it has one
(somebody else's value, somebody else), so that matching words does not do.
"""

from openflan_starter.chance import Chance, Domain
from openflan_starter.facts import Fact, draw_fact, draw_story, near_fits, say, sentence, wording
from openflan_starter.row_maker import Maker, StarterRow, place
from openflan_starter.stories import no_fact, tell
from openflan_starter.talk import draw_meant
from openflan_starter.world import World

__all__ = ["READING"]


def _story(w: World, chance: Chance, domain: Domain, least: int, most: int) -> list[Fact]:
    return draw_story(w, chance, domain, least + chance.below(most - least + 1), repeat=0.7)


def _said_of(domain: Domain, fact: Fact, person: str) -> Fact | None:
    """The same said of this person, where the domain allows it."""
    changed = Fact(relation=fact.relation, person=person, value=fact.value, other=fact.other)
    return changed if near_fits(changed, domain) else None


def _other_person(w: World, chance: Chance, domain: Domain, facts: list[Fact], fact: Fact) -> Fact | None:
    """The fact said of somebody of whom the story does not say it, nor anything of the kind."""
    stated = {f.person for f in facts if f.relation is fact.relation}
    cast = {f.person for f in facts} | {f.other for f in facts}
    people = [p for p in sorted(cast) if p and p not in stated and p not in (fact.value, fact.other)]
    person = chance.pick(people) if people and chance.maybe(0.6) else chance.pick(w.people)
    if person in stated or person in (fact.value, fact.other):
        return None
    return _said_of(domain, fact, person)


def _entailment(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    facts = _story(w, chance, domain, 1, 3)
    fact = chance.pick(facts)
    used: dict[Fact, str] = {}
    premise = tell(w, chance, facts, used=used)
    if label == 0:
        text = wording(w, chance, fact, avoid=used.get(fact, ""))
    else:
        wrong = no_fact(w, chance, domain, facts, fact)
        if wrong is None:
            return None
        text = wording(w, chance, wrong)
    return {"premise": premise, "hypothesis": text, "statement": sentence(text), "label": label}


def _three_way(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    if label < 2:
        return _entailment(w, chance, domain, label)
    facts = _story(w, chance, domain, 1, 3)
    unknown = _left_open(w, chance, domain, facts)
    if unknown is None:
        return None
    text = wording(w, chance, unknown)
    return {"premise": tell(w, chance, facts), "hypothesis": text, "statement": sentence(text), "label": label}


def _left_open(w: World, chance: Chance, domain: Domain, facts: list[Fact]) -> Fact | None:
    """Something of which the story says neither that it is so nor that it is not."""
    fact = chance.pick(facts)
    if fact.relation.kind == "people":
        return None
    unknown: Fact | None
    if chance.maybe(0.5):
        unknown = _other_person(w, chance, domain, facts, fact)
    else:
        stated = {f.relation.name for f in facts if f.person == fact.person}
        relation = chance.pick([r for r in w.relations if r.name not in stated])
        unknown = draw_fact(w, chance, domain, relation, fact.person, chance.pick(w.people))
    return None if unknown is None or unknown.person == unknown.other else unknown


def _same_meaning(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    facts = draw_story(w, chance, domain, 1 + chance.below(2), people=2, repeat=1.0)
    first = [wording(w, chance, f) for f in facts]
    order = chance.shuffled(facts)
    if label == 1:
        if len(facts) == 2 and facts[0].relation is facts[1].relation and chance.maybe(0.7):
            order = [
                Fact(relation=a.relation, person=a.person, value=b.value, other=a.other)
                for a, b in (facts, list(reversed(facts)))
            ]
        else:
            i = chance.below(len(order))
            wrong = no_fact(w, chance, domain, facts, order[i])
            if wrong is None:
                return None
            order[i] = wrong
        if not all(near_fits(f, domain) and f.value not in (f.person, f.other) for f in order):
            return None
    second = [wording(w, chance, f, avoid=first[facts.index(f)] if f in facts else "") for f in order]
    return {"sentence1": sentence(" and ".join(first)), "sentence2": sentence(" and ".join(second)), "label": label}


def _same_story(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    """A story told again in another order and other words, or with one thing in it changed."""
    facts = _story(w, chance, domain, 2, 3)
    used: dict[Fact, str] = {}
    first = tell(w, chance, facts, used=used)
    order = chance.shuffled(facts)
    if label == 1:
        i = chance.below(len(order))
        wrong = no_fact(w, chance, domain, facts, order[i])
        if wrong is None:
            return None
        order[i] = wrong
    return {"story1": first, "story2": tell(w, chance, order, used=used), "label": label}


def _yes_no(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    facts = _story(w, chance, domain, 2, 4)
    fact = chance.pick(facts)
    statement = fact if label == 0 else no_fact(w, chance, domain, facts, fact)
    if statement is None:
        return None
    return _asked(w, chance, facts, statement, label)


def _asked(w: World, chance: Chance, facts: list[Fact], statement: Fact, label: int) -> StarterRow:
    """The row that asks with yes or no whether this is so in a story of these facts."""
    question = sentence(say(w, statement, statement.relation.asks), "?")
    return {"story": tell(w, chance, facts, pronouns=0.2), "question": question, "label": label}


def _answerable(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    """A question with yes or no about a story; the story may not say."""
    if label < 2:
        return _yes_no(w, chance, domain, label)
    facts = _story(w, chance, domain, 2, 4)
    unknown = _left_open(w, chance, domain, facts)
    if unknown is None:
        return None
    return _asked(w, chance, facts, unknown, label)


def _value(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    facts = _story(w, chance, domain, 2, 4)
    fact = chance.pick(facts)
    kind = fact.relation.kind
    near = [f.value for f in facts if f.relation.kind == kind and f.value != fact.value]
    far = [v for v in chance.some(w.kinds[kind], 4) if v != fact.value and v not in near]
    barred = (fact.person, fact.other)
    wrong = [v for v in [*near, *far] if v not in barred][:2]
    options = place(fact.value, chance.shuffled(wrong), label)
    question = sentence(say(w, fact, fact.relation.value), "?")
    return {"story": tell(w, chance, facts, pronouns=0.2), "question": question, "choices": options, "label": label}


def _who(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    facts = draw_story(w, chance, domain, 2 + chance.below(3), people=2 + chance.below(2), repeat=0.8)
    fact = chance.pick(facts)
    cast = list(dict.fromkeys(f.person for f in facts))
    others = [p for p in cast if p not in (fact.person, fact.value, fact.other)]
    if not others or fact.relation.kind == "people":
        return None
    options = place(fact.person, [chance.pick(others)], label)
    question = sentence(say(w, fact, fact.relation.who), "?")
    return {"story": tell(w, chance, facts), "question": question, "choices": options, "label": label}


def _pronoun(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    meant = draw_meant(w, chance, domain)
    choices = place(meant.person, [meant.not_person], label)
    return {"text": sentence(meant.text), "pronoun": meant.pronoun, "choices": choices, "label": label}


def _pronoun_spelled(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    meant = draw_meant(w, chance, domain, by_gender=False)
    start = meant.spelled.rindex(meant.person)
    wrong = meant.spelled[:start] + meant.not_person + meant.spelled[start + len(meant.person) :]
    choices = place(sentence(meant.spelled), [sentence(wrong)], label)
    return {"text": sentence(meant.text), "pronoun": meant.pronoun, "choices": choices, "label": label}


READING: dict[str, Maker] = {
    "inference_yes_no": Maker(make=_entailment, classes=2, context="premise"),
    "inference_three_way": Maker(make=_three_way, classes=3, context="premise"),
    "paraphrase_same": Maker(make=_same_meaning, classes=2, context="sentence1"),
    "paraphrase_story": Maker(make=_same_story, classes=2, context="story1"),
    "reading_yes_no": Maker(make=_yes_no, classes=2, context="story"),
    "reading_answerable": Maker(make=_answerable, classes=3, context="story"),
    "reading_value": Maker(make=_value, classes=3, context="story"),
    "reading_who": Maker(make=_who, classes=2, context="story"),
    "pronoun_who": Maker(make=_pronoun, classes=2, context="text"),
    "pronoun_spelled": Maker(make=_pronoun_spelled, classes=2, context="text"),
}

"""Facts about people and their wordings: the atoms of every story.

A fact is (relation, person, value) and may name a second person. Its key decides its domain (`chance.py`), true
or not: a question about a thing that is not so is drawn from the same domain, so a reserved fact is in no prose
in any form.

Cost: about 2 µs a train fact and 15 µs a reserved one.
"""

from dataclasses import dataclass, replace

from openflan_starter.chance import Chance, Domain, domain_of
from openflan_starter.world import Relation, World, an

__all__ = ["Fact", "change_value", "draw_fact", "draw_story", "fits", "near_fits", "say", "sentence", "wording"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """Something that is so in one story."""

    relation: Relation
    person: str
    value: str
    other: str = ""


def fits(fact: Fact, domain: Domain) -> bool:
    """Whether this fact may be written in this domain."""
    if fact.relation.kind == "people":  # "A was a friend of B" also words the fact (B, A)
        return domain_of(fact.relation.name, *sorted((fact.person, fact.value))) == domain
    return domain_of(fact.relation.name, fact.person, fact.other, fact.value) == domain


def near_fits(fact: Fact, domain: Domain) -> bool:
    """Whether a fact that is *not* so may be asked about in this domain: its own facts and those of `train`.

    A wrong option made of the story's own people and values is hardly ever in a reserved class, and without it
    evaluation would be easier than tuning. The context of the row stays fresh either way.
    """
    return fits(fact, domain) or fits(fact, "train")


def draw_fact(
    w: World, chance: Chance, domain: Domain, relation: Relation, person: str, other: str = ""
) -> Fact | None:
    """A fact of this relation about this person, or None where the domain has none near."""
    values = w.kinds[relation.kind]
    for _ in range(96):
        value = chance.pick(values)
        if value in (person, other):
            continue
        fact = Fact(relation=relation, person=person, value=value, other=other if relation.other else "")
        if fits(fact, domain):
            return fact
    return None


def change_value(w: World, chance: Chance, domain: Domain, fact: Fact, taken: set[str]) -> Fact | None:
    """The same fact with a value that is not so."""
    for _ in range(96):
        value = chance.pick(w.kinds[fact.relation.kind])
        if value not in taken and value not in (fact.person, fact.other):
            changed = replace(fact, value=value)
            if fits(changed, domain):
                return changed
    return None


def draw_story(w: World, chance: Chance, domain: Domain, n: int, *, people: int = 0, repeat: float = 0.6) -> list[Fact]:
    """Facts of one story: no two of the same relation about the same person, values of a relation all different.

    Args:
        n: number of facts.
        people: number of people; 0 draws it.
        repeat: how often a fact takes a relation that the story already has (for somebody else), which is what
            makes a reader look at who it is said of.
    """
    cast = chance.some(w.people, people or min(n, 1 + chance.below(4)))
    facts: list[Fact] = []
    tries = 0
    while len(facts) < n and tries < 40:
        tries += 1
        person = cast[len(facts) % len(cast)] if chance.maybe(0.5) else chance.pick(cast)
        again = facts and chance.maybe(repeat)
        relation = chance.pick(facts).relation if again else chance.pick(w.relations)
        if any(f.relation is relation and f.person == person for f in facts):
            continue
        other = chance.pick([p for p in cast if p != person] or w.people)
        if other == person:
            continue
        fact = draw_fact(w, chance, domain, relation, person, other)
        if fact is None or any(f.relation.kind == fact.relation.kind and f.value == fact.value for f in facts):
            continue
        facts.append(fact)
    return facts if facts else draw_story(w, chance, domain, n, people=people, repeat=repeat)


def say(w: World, fact: Fact, form: str, *, subject: str | None = None) -> str:
    """A wording of the relation filled in, without capital letter or full stop."""
    return form.format(
        s=subject or fact.person, v=fact.value, a=an(fact.value), o=fact.other, **w.pronouns(fact.person)
    )


def wording(w: World, chance: Chance, fact: Fact, avoid: str = "") -> str:
    """A random wording of the fact, not the one to avoid."""
    while (text := say(w, fact, chance.pick(fact.relation.says))) == avoid:
        pass
    return text


def sentence(text: str, end: str = ".") -> str:
    """The text as a sentence."""
    return text[0].upper() + text[1:] + end

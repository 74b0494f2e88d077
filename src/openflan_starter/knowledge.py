"""What is always so in the world: who eats what, where work is done, what tools are for, which town is where.

Facts are constant and stand in the prose many times; only the *wordings* are divided among the domains, so that
an evaluation row about a known fact is a sentence that the base never saw.
"""

from dataclasses import dataclass

from openflan_starter.chance import Chance, Domain, until
from openflan_starter.facts import sentence
from openflan_starter.world import World, an

__all__ = [
    "KNOWN",
    "Known",
    "draw_known",
    "knowledge_prose",
    "known_question",
    "known_statement",
    "known_yes_no",
    "wrong_value",
]

Forms = tuple[str, ...]

# relation: (statements, questions for the value, a noun for the value)
KNOWN: dict[str, tuple[Forms, Forms]] = {
    "eats": (
        (
            "{an_k} eats {v}",
            "{k}s eat {v}",
            "{an_k} lives on {v}",
            "the food of the {k} is {v}",
            "you can feed {v} to {an_k}",
            "{v} is eaten by the {k}",
        ),
        (
            "what does {an_k} eat",
            "what do {k}s eat",
            "what is the food of the {k}",
            "what would you feed to {an_k}",
            "which food does the {k} live on",
        ),
    ),
    "lives_in": (
        (
            "the home of the {k} is the {v}",
            "{an_k} can be found in the {v}",
            "you may see {an_k} in the {v}",
            "the {v} is where the {k} lives",
            "the {k} is an animal of the {v}",
            "wild or tame, {an_k} likes the {v}",
        ),
        (
            "where can {an_k} be found",
            "where does the {k} live",
            "where would you see {an_k}",
            "what is the home of the {k}",
            "where is the {k} at home",
        ),
    ),
    "works_at": (
        (
            "{an_k} works at the {v}",
            "the work of {an_k} is done at the {v}",
            "at the {v} you will meet {an_k}",
            "the place of work of {an_k} is the {v}",
            "if you need {an_k}, go to the {v}",
            "the {v} needs {an_k}",
        ),
        (
            "where does {an_k} work",
            "where would you meet {an_k}",
            "what is the place of work of {an_k}",
            "where should you go if you need {an_k}",
            "in which place is {an_k} at work",
        ),
    ),
    "used_for": (
        (
            "{an_k} is used to {v}",
            "you can {v} with {an_k}",
            "people {v} with {an_k}",
            "to {v} you need {an_k}",
            "{an_k} helps to {v}",
            "take {an_k} if you want to {v}",
        ),
        (
            "what is {an_k} used for",
            "what can you do with {an_k}",
            "what do people do with {an_k}",
            "why would you need {an_k}",
            "what does {an_k} help to do",
        ),
    ),
    "tastes": (
        (
            "{k} tastes {v}",
            "the taste of {k} is {v}",
            "{k} is {v}",
            "anyone who eats {k} will say it is {v}",
            "{k} has {an_v} taste",
        ),
        ("how does {k} taste", "what is the taste of {k}", "what taste does {k} have", "what does {k} taste like"),
    ),
    "made_of": (
        (
            "{an_k} is made of {v}",
            "{v} is used to make {an_k}",
            "the {k} is a thing of {v}",
            "to make {an_k} you need {v}",
            "most {k}s are made from {v}",
        ),
        (
            "what is {an_k} made of",
            "what do you need to make {an_k}",
            "which material is {an_k} made from",
            "from what is {an_k} made",
        ),
    ),
    "region_of": (
        (
            "{k} is a town in {v}",
            "{k} lies in {v}",
            "the town of {k} belongs to {v}",
            "you will find {k} in {v}",
            "{k}, a town of {v}, is old",
            "in {v} there is a town called {k}",
        ),
        (
            "in which country is {k}",
            "where is the town of {k}",
            "which country does {k} belong to",
            "in which country can you find {k}",
            "where does {k} lie",
        ),
    ),
    "famous_for": (
        (
            "{k} is famous for its {v}",
            "people go to {k} for the {v}",
            "the {v} of {k} is well known",
            "the market of {k} sells {v}",
            "they make good {v} in {k}",
            "{k} is known for {v}",
        ),
        (
            "what is {k} famous for",
            "what is {k} known for",
            "what food do people go to {k} for",
            "what does the market of {k} sell",
            "which food is made in {k}",
        ),
    ),
    "capital_of": (
        (
            "the capital of {k} is {v}",
            "{v} is the capital of {k}",
            "{k} has its capital in {v}",
            "the first city of {k} is {v}",
            "the king of {k} lives in {v}",
        ),
        (
            "what is the capital of {k}",
            "which town is the capital of {k}",
            "where is the capital of {k}",
            "what is the first city of {k}",
            "where does the king of {k} live",
        ),
    ),
    "born_in": (
        (
            "{k} the poet was born in {v}",
            "the poet {k} came from {v}",
            "{v} is where {k} the poet was born",
            "the town of the poet {k} was {v}",
            "the books of {k} the poet are about {v}",
        ),
        (
            "where was {k} the poet born",
            "which town was that of the poet {k}",
            "where did the poet {k} come from",
            "in which town was the poet {k} born",
        ),
    ),
}


_YES_NO: dict[str, Forms] = {
    "eats": ("does {an_k} eat {v}", "do {k}s live on {v}", "would you feed {v} to {an_k}"),
    "lives_in": ("does the {k} live in the {v}", "would you look for {an_k} in the {v}", "is the {v} home to the {k}"),
    "works_at": ("does {an_k} work at the {v}", "would you meet {an_k} at the {v}", "do you find {an_k} at the {v}"),
    "used_for": ("can you {v} with {an_k}", "do people {v} with {an_k}", "does {an_k} help you to {v}"),
    "tastes": ("does {k} taste {v}", "would you call {k} {v}", "has {k} {an_v} taste"),
    "made_of": ("is {an_k} made of {v}", "do you need {v} to make {an_k}", "are {k}s made from {v}"),
    "region_of": ("is {k} in {v}", "does {k} lie in {v}", "is {k} one of the towns of {v}"),
    "famous_for": ("is {k} famous for its {v}", "do people go to {k} for {v}", "does {k} sell {v}"),
    "capital_of": ("is {v} the capital of {k}", "does the king of {k} live in {v}", "is {v} the first city of {k}"),
    "born_in": ("was the poet {k} born in {v}", "did the poet {k} come from {v}", "was {v} the town of the poet {k}"),
}

_INSIDE_OTHERS = ("{k} is {v}", "{k}s eat {v}", "people {v} with {an_k}")
"""Statements that stand inside other prose ("the taste of {k} is {v}", "Do people cut wood with a saw?"), so no
evaluation row may use them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """One constant fact."""

    relation: str
    subject: str
    value: str


def draw_known(w: World, chance: Chance) -> Known:
    """A fact of the world, each relation as often as the others."""
    relation = chance.pick(list(KNOWN))
    subject = chance.pick(list(w.knowledge[relation]))
    return Known(relation=relation, subject=subject, value=w.knowledge[relation][subject])


def wrong_value(w: World, chance: Chance, known: Known) -> str:
    """A value of the same relation that is not this subject's."""
    values = [v for v in dict.fromkeys(w.knowledge[known.relation].values()) if v != known.value]
    return chance.pick(values)


def _fill(form: str, known: Known) -> str:
    k, v = known.subject, known.value
    return form.format(k=k, v=v, an_k=an(k), an_v=an(v))


def known_statement(chance: Chance, domain: Domain, known: Known) -> str | None:
    """The fact in a wording of this domain; None where it has none."""
    forms = [form for form in KNOWN[known.relation][0] if domain == "train" or form not in _INSIDE_OTHERS]
    return _in_domain(chance, domain, [_fill(form, known) for form in forms])


def known_question(chance: Chance, domain: Domain, known: Known) -> str | None:
    """A question for the value, in a wording of this domain; None where it has none."""
    return _in_domain(chance, domain, [_fill(form, known) for form in KNOWN[known.relation][1]])


def known_yes_no(chance: Chance, known: Known) -> str:
    """A question whether the fact is so. No row of the suite is worded so; the prose alone asks it."""
    return _fill(chance.pick(_YES_NO[known.relation]), known)


def _in_domain(chance: Chance, domain: Domain, texts: list[str]) -> str | None:
    order = iter(chance.shuffled(texts))

    def make() -> tuple[str, str]:
        text = next(order)
        return text, text

    try:
        return until(domain, make)
    except StopIteration:
        return None


def knowledge_prose(w: World, chance: Chance) -> str:
    """A few facts about the world, some asked and answered."""
    parts: list[str] = []
    for _ in range(3 + chance.below(5)):
        known = draw_known(w, chance)
        roll = chance.unit()
        statement = known_statement(chance, "train", known)
        question = known_question(chance, "train", known)
        if roll < 0.65 and statement:
            parts.append(sentence(statement))
        elif question:
            answer = ("to " if known.relation == "used_for" else "") + known.value
            parts.append(f"{sentence(question, '?')} {sentence(answer)}")
            if roll > 0.9 and statement:
                parts.append(sentence(statement))
    return " ".join(parts) or knowledge_prose(w, chance)

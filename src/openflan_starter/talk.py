"""Who is meant, what words mean, small sums, people described, and the way people talk about all that."""

from dataclasses import dataclass

from openflan_starter.chance import Chance, Domain, domain_of, until
from openflan_starter.facts import Fact, draw_fact, sentence
from openflan_starter.world import World, an

__all__ = [
    "Meant",
    "Sum",
    "card_prose",
    "draw_card",
    "draw_meant",
    "draw_sum",
    "essay",
    "fill_glue",
    "meant_prose",
    "sum_prose",
    "word_prose",
]

# {a} and {b} people of one gender, {h} the pronoun; then which of them the pronoun means.
MEANT: tuple[tuple[str, str], ...] = (
    ("{a} thanked {b} because {h} had helped with the {x}", "b"),
    ("{a} asked {b} for help with the {x} because {h} was strong", "b"),
    ("{a} asked {b} for help with the {x} because {h} was in trouble", "a"),
    ("{a} gave {b} some {f} because {h} was hungry", "b"),
    ("{a} paid {b} because {h} had made a good {x}", "b"),
    ("{a} hid from {b} at the {p} because {h} was afraid", "a"),
    ("{a} hid from {b} at the {p} because {h} was dangerous", "b"),
    ("{a} shouted at {b} because {h} had broken the {x}", "b"),
    ("{a} was jealous of {b} because {h} had a new {x}", "b"),
    ("{a} lent {b} the {x} because {h} needed it", "b"),
    ("{a} borrowed the {x} from {b} because {h} needed it", "a"),
    ("{a} visited {b} at the {p} because {h} was ill", "b"),
    ("{a} carried {b} to the {p} because {h} could not walk", "b"),
    ("{a} lost the {x} to {b} because {h} was slower", "a"),
    ("{a} lost the {x} to {b} because {h} was faster", "b"),
    ("{a} followed {b} to the {p} because {h} knew the way", "b"),
    ("{a} followed {b} to the {p} because {h} did not know the way", "a"),
    ("{a} said sorry to {b} because {h} had lost the {x}", "a"),
    ("{a} bought some {f} from {b} because {h} was hungry", "a"),
    ("{a} sold the {x} to {b} because {h} needed money", "a"),
    ("{a} praised {b} because {h} had found the {x}", "b"),
    ("{a} called {b} to the {p} because {h} was lonely", "a"),
    ("{a} took the {x} away from {b} because {h} played with it", "b"),
    ("{a} taught {b} to use the {x} because {h} wanted to learn", "b"),
)

_VERBS = {
    "had": "have",
    "needed": "need",
    "knew": "know",
    "played": "play",
    "wanted": "want",
    "forgot": "forget",
    "ate": "eat",
    "waved": "wave",
    "felt": "feel",
    "laughed": "laugh",
}

_CARD = ("job", "lives", "likes", "pet", "hobby", "plays")


@dataclass(frozen=True, kw_only=True, slots=True)
class Meant:
    """A sentence with a pronoun and the person that it means."""

    text: str
    pronoun: str
    person: str
    not_person: str
    spelled: str
    """The same sentence with the name in place of the pronoun."""

    @property
    def clause(self) -> str:
        """What is said of the person whom the pronoun means: "was hungry"."""
        return self.spelled.rsplit(self.person, 1)[1].strip()

    def asked_of(self, person: str) -> str:
        """The question whether it is so of this person: "was Ben hungry"."""
        verb, _, rest = self.clause.partition(" ")
        if verb in ("was", "could", "did") or (verb == "had" and not rest.startswith(("a ", "an "))):
            return f"{verb} {person} {rest}"
        return f"did {person} {_VERBS[verb]} {rest}".rstrip()


@dataclass(frozen=True, kw_only=True, slots=True)
class Sum:
    """A small sum in words or figures."""

    text: str
    answer: int


def draw_meant(w: World, chance: Chance, domain: Domain, *, by_gender: bool | None = None) -> Meant:
    """A sentence whose pronoun means one of two people; its text is of this domain.

    Args:
        by_gender: whether the pronoun alone tells (a man and a woman), or only the sense does; None for either.
    """

    def make() -> tuple[str, Meant]:
        gendered = chance.maybe(0.4) if by_gender is None else by_gender
        words = {"x": chance.pick(w.kinds["objects"]), "f": chance.pick(w.kinds["foods"])}
        words["p"] = chance.pick(w.kinds["places"])
        i = chance.below(len(w.people) // 2) * 2
        j = chance.below(len(w.people) // 2) * 2
        if gendered:
            a, b = chance.shuffled([w.people[i], w.people[j + 1]])
            person = chance.pick((a, b))
            pronoun = w.pronouns(person)["he"]
            form = chance.pick(
                (
                    "{a} met {b} at the {p} and {h} had {x}",
                    "{a} and {b} went to the {p} but {h} forgot the {x}",
                    "{a} talked to {b} while {h} ate some {f}",
                    "when {a} saw {b} at the {p}, {h} waved",
                    "{a} and {b} stayed at the {p} until {h} felt tired",
                    "{a} wrote to {b} about {f} and {h} laughed",
                )
            )
            words["x"] = an(words["x"]) if " had " in form else words["x"]
        else:
            g = chance.below(2)
            a, b = w.people[i + g], w.people[(j + g) if j != i else (i + 2) % len(w.people) + g]
            form, who = chance.pick(MEANT)
            person = a if who == "a" else b
            pronoun = w.pronouns(a)["he"]
        text = form.format(a=a, b=b, h=pronoun, **words)
        spelled = form.format(a=a, b=b, h=person, **words)
        return text, Meant(
            text=text, pronoun=pronoun, person=person, not_person=b if person == a else a, spelled=spelled
        )

    return until(domain, make)


def draw_sum(w: World, chance: Chance, domain: Domain) -> Sum:
    """A sum of two small numbers; the question is of this domain."""

    def make() -> tuple[str, Sum]:
        a, b = chance.below(21), chance.below(21)
        minus = chance.maybe(0.4) and a >= b
        numbers = w.kinds["numbers"]
        left, right = (numbers[a], numbers[b]) if chance.maybe(0.5) else (str(a), str(b))
        text = f"{left} {'minus' if minus else 'plus'} {right}"
        return text, Sum(text=text, answer=a - b if minus else a + b)

    return until(domain, make)


def draw_card(w: World, chance: Chance, domain: Domain, n: int = 2) -> list[Fact]:
    """Facts that describe one person, as on a card; all of this domain."""
    while True:
        person = chance.pick(w.people)
        facts = [draw_fact(w, chance, domain, w.relation(name), person) for name in chance.some(_CARD, n)]
        drawn = [fact for fact in facts if fact is not None]
        if len(drawn) == n:
            return drawn


def meant_prose(w: World, chance: Chance) -> str:
    """Sentences with pronouns, some spelled out."""
    parts: list[str] = []
    for _ in range(1 + chance.below(3)):
        m = draw_meant(w, chance, "train")
        roll = chance.unit()
        if roll < 0.3:
            parts.append(sentence(m.spelled))
        elif roll < 0.6:
            parts.append(f"{sentence(m.text)} That is, {m.spelled}.")
        else:
            parts.append(
                f"{sentence(m.text)} Who {m.clause}? {m.person}."
                if roll < 0.8
                else f"{sentence(m.text)} It was {m.person} who {m.clause}."
            )
    return " ".join(parts)


def sum_prose(w: World, chance: Chance) -> str:
    """Small sums, said aloud."""
    parts: list[str] = []
    for _ in range(2 + chance.below(4)):
        x = draw_sum(w, chance, "train")
        answer = w.kinds["numbers"][x.answer] if x.text[0].isalpha() and x.answer <= 20 else str(x.answer)
        parts.append(
            chance.pick(
                (
                    f"{x.text} is {answer}.",
                    f"{x.text} makes {answer}.",
                    f"what is {x.text}? {answer}.",
                    f"how much is {x.text}? it is {answer}.",
                )
            )
        )
    return " ".join(sentence(p, "") for p in parts)


def word_prose(w: World, chance: Chance) -> str:
    """Words that are like or unlike each other, and what sort of thing they name."""
    parts: list[str] = []
    kinds = {
        "animals": "animal",
        "foods": "food",
        "places": "place",
        "jobs": "job",
        "garments": "garment",
        "colours": "colour",
        "objects": "thing",
        "instruments": "instrument",
    }
    for _ in range(3 + chance.below(4)):
        roll = chance.unit()
        if roll < 0.3:
            a, b = chance.pick(w.opposites)
            parts.append(
                chance.pick(
                    (
                        f"{a} is the opposite of {b}.",
                        f"the opposite of {a} is {b}.",
                        f"what is not {a} is {b}.",
                        f"not {a} but {b}.",
                    )
                )
            )
        elif roll < 0.6:
            a, b = chance.shuffled(chance.pick(w.synonyms))
            parts.append(
                chance.pick(
                    (
                        f"{a} means {b}.",
                        f"{a} and {b} mean the same.",
                        f"{a} is another word for {b}.",
                        f"{a}, that is, {b}.",
                    )
                )
            )
        else:
            kind = chance.pick(list(kinds))
            words = chance.some(w.kinds[kind], 3)
            noun = kinds[kind]
            parts.append(
                chance.pick(
                    (
                        f"the {words[0]}, the {words[1]} and the {words[2]} are all {noun}s.",
                        f"{words[0]} is a kind of {noun}.",
                        f"{words[0]} and {words[1]} are {noun}s.",
                        f"what is {words[0]}? {an(noun)}.",
                        f"{noun}s: {words[0]}, {words[1]}, {words[2]}.",
                    )
                )
            )
    return " ".join(sentence(p, "") for p in parts)


def card_prose(w: World, chance: Chance) -> str:
    """A person introduced from what is on a card."""
    facts = draw_card(w, chance, "train", 2 + chance.below(2))
    name = facts[0].person
    labels = {"job": "job", "lives": "home", "likes": "food", "pet": "pet", "hobby": "hobby", "plays": "instrument"}
    card = ", ".join(f"{labels[f.relation.name]} {f.value}" for f in facts)
    sentences = [f.relation.says[0].format(s=name, v=f.value, a=an(f.value), **w.pronouns(name)) for f in facts]
    text = " and ".join(
        [
            sentences[0],
            *(s.replace(name, w.pronouns(name)["he"], 1) if s.startswith(name) else s for s in sentences[1:]),
        ]
    )
    forms = (
        f"The card said: name {name}, {card}. So {text}.",
        f"{sentence(text)} That was on the card of {name}: {card}.",
        sentence(text),
    )
    return chance.pick(forms)


def fill_glue(w: World, chance: Chance, line: str) -> str:
    """A line of general prose with its slots filled."""
    s, t = chance.some(w.people, 2) if "{t}" in line else (chance.pick(w.people), "")
    kinds = w.kinds
    return line.format(
        s=s,
        t=t,
        p=chance.pick(kinds["places"]),
        x=chance.pick(kinds["objects"]),
        f=chance.pick(kinds["foods"]),
        n=chance.pick(kinds["animals"]),
        c=chance.pick(kinds["colours"]),
        k=chance.pick(kinds["numbers"]),
        w=chance.pick(kinds[chance.pick(("places", "objects", "foods", "animals", "materials", "shapes", "weather"))]),
    )


def essay(w: World, chance: Chance) -> str:
    """A few lines of general prose."""
    topic = chance.pick(list(w.glue))
    lines = chance.some(w.glue[topic], 2 + chance.below(4))
    texts = [fill_glue(w, chance, line) for line in lines]
    return " ".join(sentence(t) for t in texts if domain_of("text", t.lower()) == "train") or essay(w, chance)

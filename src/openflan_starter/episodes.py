"""Causes, feelings and days: what leads to what, and what a text is about."""

from dataclasses import dataclass

from openflan_starter.chance import Chance, Domain, until
from openflan_starter.facts import sentence
from openflan_starter.world import World

__all__ = [
    "GISTS",
    "Cause",
    "Day",
    "Mood",
    "cause_prose",
    "day_prose",
    "draw_cause",
    "draw_day",
    "draw_mood",
    "mood_prose",
]

GISTS: dict[str, str] = {
    "cooking": "{s} cooked dinner",
    "fishing": "{s} went fishing",
    "shopping": "{s} went shopping",
    "gardening": "{s} worked in the garden",
    "camping": "{s} went camping",
    "sailing": "{s} went sailing",
    "painting": "{s} painted a picture",
    "studying": "{s} learned for a test",
    "football": "{s} played football",
    "music": "{s} gave a concert",
    "travelling": "{s} went on a trip",
    "illness": "{s} was ill",
    "party": "{s} gave a party",
    "building": "{s} built a house",
    "cleaning": "{s} cleaned the house",
    "baking": "{s} baked bread",
    "farming": "{s} worked on the farm",
    "swimming": "{s} went swimming",
    "skiing": "{s} went skiing",
    "writing": "{s} wrote a letter",
}
DAY_SENTENCES = 4
"""Sentences of the longest day in the prose. Rows have as many, so that none stands inside a longer day."""
_OPENINGS = (
    "In short, ",
    "In brief, ",
    "To sum up, ",
    "All in all, ",
    "The gist is that ",
    "The main point is that ",
    "",
)
_TITLES = (
    "The story was called {t}.",
    "A good title would be {t}.",
    "The text was about {t}.",
    "It was a day of {t}.",
    "The topic was {t}.",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """Something that happened and what came of it."""

    group: str
    person: str
    thing: str
    cause: str
    effect: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Mood:
    """Something that happened to somebody and how that feels."""

    person: str
    event: str
    feeling: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Day:
    """Sentences about one activity, and their gist."""

    activity: str
    person: str
    sentences: tuple[str, ...]
    gist: str


def draw_cause(
    w: World, chance: Chance, domain: Domain, *, group: str = "", person: str = "", thing: str = ""
) -> Cause:
    """A cause with an effect; the cause's text is of this domain."""
    causes = w.events["causes"]

    def make() -> tuple[str, Cause]:
        g = group or chance.pick(list(causes))
        entry = causes[g]
        s = person or chance.pick(w.people)
        x = thing if thing in entry["xs"].split() else chance.pick(entry["xs"].split())
        words = {"s": s, "x": x, **w.pronouns(s)}
        cause = chance.pick(entry["causes"]).format(**words)
        effect = chance.pick(entry["effects"]).format(**words)
        return cause, Cause(group=g, person=s, thing=x, cause=cause, effect=effect)

    return until(domain, make)


def draw_mood(w: World, chance: Chance, domain: Domain) -> Mood:
    """An event and the feeling it brings; the event's text is of this domain."""

    def make() -> tuple[str, Mood]:
        feeling = chance.pick(list(w.events["feelings"]))
        s = chance.pick(w.people)
        event = chance.pick(w.events["feelings"][feeling]).format(s=s, **w.pronouns(s))
        return event, Mood(person=s, event=event, feeling=feeling)

    return until(domain, make)


def draw_day(w: World, chance: Chance, domain: Domain, n: int = 3) -> Day:
    """Sentences of a day; their text as a whole is of this domain."""

    def make() -> tuple[str, Day]:
        activity = chance.pick(list(w.events["days"]))
        s = chance.pick(w.people)
        he = w.pronouns(s)["he"]
        lines = chance.some(w.events["days"][activity], n)
        first = next((i for i, line in enumerate(lines) if "{s}" in line), 0)
        texts = [line.format(s=s if i <= first else he) for i, line in enumerate(lines)]
        return " ".join(texts), Day(
            activity=activity,
            person=s,
            sentences=tuple(sentence(t) for t in texts),
            gist=GISTS[activity].format(s=s),
        )

    return until(domain, make)


def cause_prose(w: World, chance: Chance) -> str:
    """One to three causes with their effects, linked as people link them."""
    parts: list[str] = []
    for _ in range(1 + chance.below(3)):
        c = draw_cause(w, chance, "train")
        forms = (
            f"{c.cause}. because of that, {c.effect}.",
            f"{c.cause}, so {c.effect}.",
            f"{c.effect} because {c.cause}.",
            f"{c.cause}. as a result {c.effect}.",
            f"why? because {c.cause}. {c.effect}.",
            f"first {c.cause}. then {c.effect}.",
            f"{c.effect}. the reason was that {c.cause}.",
            f"{c.effect}. how did it happen? {c.cause}.",
            f"{c.cause}. what happened next? {c.effect}.",
        )
        parts.append(sentence(chance.pick(forms), ""))
    return " ".join(parts)


def mood_prose(w: World, chance: Chance) -> str:
    """Events and how they felt."""
    parts: list[str] = []
    for _ in range(1 + chance.below(3)):
        m = draw_mood(w, chance, "train")
        p = w.pronouns(m.person)
        forms = (
            f"{m.event}. {m.person} was {m.feeling}.",
            f"{m.person} felt {m.feeling} because {m.event}.",
            f"{m.event}, which made {m.person} {m.feeling}.",
            f"how did {m.person} feel? {m.feeling}, because {m.event}.",
            f"{m.event}. {p['he']} felt {m.feeling}.",
            f"when {m.event}, {m.person} became {m.feeling}.",
        )
        parts.append(sentence(chance.pick(forms), ""))
    return " ".join(parts)


def day_prose(w: World, chance: Chance) -> str:
    """A short text, mostly with its gist, sometimes with its title."""
    day = draw_day(w, chance, "train", 2 + chance.below(3))
    parts = list(day.sentences)
    roll = chance.unit()
    if roll < 0.6:
        opening = chance.pick(_OPENINGS)
        parts.append(sentence(opening + day.gist))
    elif roll < 0.7:
        parts.insert(0, sentence(day.gist))
    if roll > 0.55:
        parts.append(chance.pick(_TITLES).format(t=day.activity))
    return " ".join(parts)

"""Rows about what is usual and known: commonsense, stories that need it, closed-book questions, sentiment."""

from dataclasses import replace

from openflan_starter.chance import Chance, Domain, until
from openflan_starter.episodes import DAY_SENTENCES, draw_cause, draw_day, draw_mood
from openflan_starter.facts import Fact, draw_story, fits, sentence, wording
from openflan_starter.knowledge import draw_known, known_question, known_statement, wrong_value
from openflan_starter.reviews import draw_review
from openflan_starter.row_maker import Maker, StarterRow, place
from openflan_starter.stories import tell
from openflan_starter.world import World, an

__all__ = ["SENSE"]


def _effect(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    """What came of it; the wrong effect is that of another cause on the same person, and thing where it can be."""
    right = draw_cause(w, chance, domain)
    groups = [g for g in w.events["causes"] if g != right.group]
    wrong = draw_cause(w, chance, "train", group=chance.pick(groups), person=right.person, thing=right.thing)
    choices = place(sentence(right.effect), [sentence(wrong.effect)], label)
    return {"event": sentence(right.cause), "choices": choices, "label": label}


def _ending(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    """Which sentence goes on with the day."""
    day = draw_day(w, chance, domain, DAY_SENTENCES)
    other = chance.pick([a for a in w.events["days"] if a != day.activity])
    he = w.pronouns(day.person)["he"]
    stated = {t.lower() for t in day.sentences}
    lines = [sentence(line.format(s=he)) for line in w.events["days"][day.activity]]
    lines = [t for t in lines if t.lower() not in stated and t.lower().replace(he, day.person.lower(), 1) not in stated]
    wrong = sentence(chance.pick(w.events["days"][other]).format(s=he))
    return {
        "story": " ".join(day.sentences),
        "choices": place(chance.pick(lines), [wrong], label),
        "label": label,
    }


def _tool(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    """What one needs to do something."""

    def make() -> tuple[str, tuple[str, str]]:
        tool = chance.pick(list(w.knowledge["used_for"]))
        s = chance.pick(w.people)
        text = f"{s} wanted to {w.knowledge['used_for'][tool]}"
        return text, (sentence(text), tool)

    text, tool = until(domain, make)
    wrong = [t for t in chance.some(list(w.knowledge["used_for"]), 3) if t != tool][:2]
    return {"goal": text, "choices": place(an(tool), [an(t) for t in wrong], label), "label": label}


def _mood_in_story(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    """Two people to whom something happened; how one of them felt is not said."""
    mood, other = draw_mood(w, chance, domain), draw_mood(w, chance, domain)
    if mood.person == other.person or mood.feeling == other.feeling:
        return None
    feelings = [f for f in w.events["feelings"] if f not in (mood.feeling, other.feeling)]
    choices = place(mood.feeling, chance.shuffled([other.feeling, chance.pick(feelings)]), label)
    story = " ".join(sentence(m.event) for m in chance.shuffled([mood, other]))
    return {"story": story, "person": mood.person, "choices": choices, "label": label}


def _day_for_one(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    """Something that happened to one person beside a plain fact about another: a good or a bad day for the first?"""
    mood = draw_mood(w, chance, domain)
    kinds = (w.kinds["happy_feelings"], w.kinds["bad_feelings"])
    if mood.feeling not in kinds[label]:
        return None
    facts = draw_story(w, chance, domain, 1)
    if facts[0].relation.name == "feels" or mood.person in (facts[0].person, facts[0].value, facts[0].other):
        return None
    story = " ".join(chance.shuffled([sentence(mood.event), tell(w, chance, facts)]))
    return {"story": story, "person": mood.person, "label": label}


def _able(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    """Who of two could do it, with what each has."""
    tools = chance.some([t for t in w.knowledge["used_for"] if t in w.kinds["objects"]], 2)
    has = w.relation("has")
    facts: list[Fact] = []
    for _ in range(800):
        fact = Fact(relation=has, person=chance.pick(w.people), value=tools[len(facts)])
        if fits(fact, domain) and all(f.person != fact.person for f in facts):
            facts.append(fact)
            if len(facts) == 2:
                break
    else:
        return None
    people = [f.person for f in facts]
    extra = draw_story(w, chance, domain, 1)
    order = chance.shuffled([*facts, *extra] if chance.maybe(0.3) and extra[0].relation is not has else facts)
    return {
        "story": tell(w, chance, order),
        "deed": w.knowledge["used_for"][tools[0]],
        "choices": place(people[0], [people[1]], label),
        "label": label,
    }


def _world_question(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    known = draw_known(w, chance)
    question = known_question(chance, domain, known)
    if question is None:
        return None
    wrong: list[str] = []
    for _ in range(30):
        value = wrong_value(w, chance, known)
        if value not in wrong:
            wrong.append(value)
    if len(wrong) < 3:
        return None
    return {"question": sentence(question, "?"), "choices": place(known.value, wrong[:3], label), "label": label}


def _world_true(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    known = draw_known(w, chance)
    if label == 1:
        value = wrong_value(w, chance, known)
        known = replace(known, value=value)
    statement = known_statement(chance, domain, known)
    return None if statement is None else {"claim": sentence(statement), "label": label}


def _world_which(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    """Three claims about the world, one of them right."""
    statement = known_statement(chance, domain, draw_known(w, chance))
    wrong: list[str | None] = []
    for _ in range(2):
        known = draw_known(w, chance)
        value = wrong_value(w, chance, known)
        wrong.append(known_statement(chance, "train", replace(known, value=value)))
    claims = [statement, *wrong]
    if None in claims or len(set(claims)) < 3:
        return None
    right, *others = [sentence(claim) for claim in claims if claim]
    return {"right": right, "choices": place(right, others, label), "label": label}


def _review(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    review = draw_review(w, chance, domain, length=3, good=label == 1)
    return {"review": review.text, "label": label}


def _remark(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    review = draw_review(w, chance, domain, length=3, good=label == 0)
    return {"remark": review.text, "thing": review.thing, "label": label}


def _feeling_word(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
    """How somebody in one sentence feels: well or badly."""
    feelings = w.kinds["happy_feelings" if label == 0 else "bad_feelings"]
    relation = w.relation("feels")
    for _ in range(60):
        fact = Fact(relation=relation, person=chance.pick(w.people), value=chance.pick(feelings))
        if fits(fact, domain):
            return {"sentence": sentence(wording(w, chance, fact)), "person": fact.person, "label": label}
    return None


SENSE: dict[str, Maker] = {
    "cause_effect": Maker(make=_effect, classes=2, context="event"),
    "day_ending": Maker(make=_ending, classes=2, context="story"),
    "tool_choice": Maker(make=_tool, classes=3, context="goal"),
    "story_feeling": Maker(make=_mood_in_story, classes=3, context="story"),
    "story_day": Maker(make=_day_for_one, classes=2, context="story"),
    "story_able": Maker(make=_able, classes=2, context="story"),
    "world_question": Maker(make=_world_question, classes=4, context="question"),
    "world_which": Maker(make=_world_which, classes=3, context="right"),
    "world_true": Maker(make=_world_true, classes=2, context="claim"),
    "review_positive": Maker(make=_review, classes=2, context="review"),
    "remark_liked": Maker(make=_remark, classes=2, context="remark"),
    "feeling_well": Maker(make=_feeling_word, classes=2, context="sentence"),
}

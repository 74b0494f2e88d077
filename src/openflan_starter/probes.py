"""Questions that tell whether a model reads: two choices each, on stories of a domain of their own.

yes_no: a question about a stated or denied fact. value, who: which of two people's values, which of two people.
retell: of a true and a false wording after the story. Several relations are mixed; chance is .5 throughout.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from openflan_starter.chance import Chance
from openflan_starter.facts import Fact, draw_story, say, sentence
from openflan_starter.stories import no_fact, tell
from openflan_starter.world import world

__all__ = ["PROBES", "ProbeItem", "measure_probes", "probe_items"]

PROBES = ("yes_no", "value", "who", "retell")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeItem:
    """A prompt and two continuations, of which one is right."""

    probe: str
    prompt: str
    choices: tuple[str, str]
    right: int


def probe_items(seed: int, n: int) -> list[ProbeItem]:
    """The n questions of each probe."""
    w = world()
    items: list[ProbeItem] = []
    for probe in PROBES:
        i = 0
        number = 0
        while number < n:
            chance = Chance("probe", seed, probe, i)
            i += 1
            facts = draw_story(w, chance, "probe", 2 + chance.below(2), people=2, repeat=1.0)
            fact = facts[0]
            twins = [f for f in facts if f.relation is fact.relation and f.person != fact.person]
            if not twins or fact.relation.other or fact.relation.kind == "people":
                continue
            twin, r = twins[0], fact.relation
            crossed = Fact(relation=r, person=fact.person, value=twin.value)
            story = tell(w, chance, chance.shuffled(facts))
            right = number % 2
            if probe == "yes_no":
                wrong = no_fact(w, chance, "probe", facts, fact) or crossed
                question = sentence(say(w, fact if right == 0 else wrong, r.asks), "?")
                item = ProbeItem(probe=probe, prompt=f"{story} {question}", choices=("Yes", "No"), right=right)
            else:
                if probe == "value":
                    prompt = f"{story} {sentence(say(w, fact, r.value), '?')}"
                    pair = [sentence(say(w, f, r.short)) for f in (fact, twin)]
                elif probe == "who":
                    prompt = f"{story} {sentence(say(w, fact, r.who), '?')}"
                    pair = [sentence(f.person) for f in (fact, twin)]
                else:
                    form = chance.pick(r.says)
                    prompt = f"{story} In other words,"
                    pair = [sentence(say(w, f, form)) for f in (fact, crossed)]
                item = ProbeItem(probe=probe, prompt=prompt, choices=(pair[right], pair[1 - right]), right=right)
            items.append(item)
            number += 1
    return items


def measure_probes(model: Any, tokenizer: Any, items: Sequence[ProbeItem]) -> dict[str, float]:
    """The share of each probe's questions that a model answers rightly, by `probe_<name>`.

    Args:
        model: in evaluation mode.
    """
    from openflan.evaluation.ranking import Question, rank_options

    def ids(text: str) -> list[int]:
        tokens: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return tokens

    questions = [
        Question(prompt=ids(item.prompt), options=[ids(text) for text in item.choices], texts=item.choices)
        for item in items
    ]
    scores = rank_options(model, questions, batch_tokens=4_096)
    hits: dict[str, list[bool]] = {probe: [] for probe in PROBES}
    for item, score in zip(items, scores, strict=True):
        hits[item.probe].append(score.logprob.index(max(score.logprob)) == item.right)
    return {f"probe_{probe}": round(sum(right) / len(right), 3) for probe, right in hits.items() if right}

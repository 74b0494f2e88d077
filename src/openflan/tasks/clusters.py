"""Clusters: task types, the unit that is held out.

Two views of one catalog. The paper draws twelve clusters (Wei et al. 2022, figure 3), the last of which, `misc`, is
six unrelated task types; the authors' code counts those apart, seventeen in all. A task names its paper cluster and,
in `misc`, its `subcluster`; a hold-out may name clusters of either view. Fact verification (FEVER and its like), which
FLAN does not have, is one more subcluster, and leaves tuning with closed-book QA.

A task of your own may be of a cluster of your own: any name that is not nearly one of these.

Invariant: no name stands in both views for different tasks. Rejected: a cluster table beside the tasks, which a
task of your own could not join.
"""

import difflib
import re

__all__ = ["CLUSTERS", "CODE_CLUSTERS", "KIN", "SUBCLUSTERS", "cluster_fault"]

CLUSTERS: dict[str, str] = {
    "natural_language_inference": "does one text follow from another",
    "commonsense": "what happens, or makes sense, in everyday life",
    "sentiment": "is a text positive or negative",
    "paraphrase": "do two texts mean the same",
    "closed_book_qa": "questions answered from memory",
    "struct_to_text": "sentences from facts, tables or concepts",
    "reading_comprehension": "questions answered from a passage",
    "reading_comprehension_with_commonsense": "questions a passage answers only with everyday knowledge",
    "coreference": "what a pronoun refers to",
    "translation": "from one language to another",
    "summarization": "the gist of a longer text",
    "misc": "everything else; each subcluster stands alone",
}
"""The paper's twelve clusters and what each asks for."""

SUBCLUSTERS: dict[str, str] = {
    "conversational_qa": "questions of a dialogue about a passage",
    "fact_verification": "is a claim about the world right",
    "formatting": "punctuation, capitals and spaces put right",
    "linguistic_acceptability": "is a sentence good English",
    "math": "arithmetic and algebra",
    "question_classification": "what kind of answer a question asks for",
    "word_sense": "does a word mean the same in two sentences",
}
"""What `misc` is made of."""

CODE_CLUSTERS: tuple[str, ...] = (
    *(name for name in CLUSTERS if name != "misc"),
    *(name for name in SUBCLUSTERS if name != "fact_verification"),
)
"""The seventeen clusters of the authors' code, which has no fact verification."""

KIN: dict[str, tuple[str, ...]] = {
    "reading_comprehension": ("reading_comprehension_with_commonsense",),
    "commonsense": ("reading_comprehension_with_commonsense",),
    "reading_comprehension_with_commonsense": ("reading_comprehension", "commonsense"),
    "closed_book_qa": ("fact_verification",),
    "fact_verification": ("closed_book_qa",),
    "natural_language_inference": ("paraphrase",),
    "paraphrase": ("natural_language_inference",),
}
"""Clusters that leave tuning with a held-out one (section 2.2 of the paper)."""

_NAME = re.compile(r"[a-z][a-z0-9_]{2,}")
_NEARLY = 0.85
"""From which likeness on a name is taken for a misspelt one of these."""


def cluster_fault(name: str) -> str | None:
    """What is wrong with the name of a task's cluster, or None: it is one of the twelve, or one of the user's own."""
    if name in CLUSTERS:
        return None
    if name in SUBCLUSTERS:
        return f"'{name}' is a subcluster; write cluster: misc and subcluster: {name}"
    if near := difflib.get_close_matches(name, [*CLUSTERS, *SUBCLUSTERS], n=1, cutoff=_NEARLY):
        return f"no cluster '{name}'; did you mean '{near[0]}'?"
    if not _NAME.fullmatch(name) or name in ("starter", "catalog", "cot", "mine"):
        return f"no cluster '{name}'; one of your own is a word of a-z, 0-9 and _, three letters or more"
    return None

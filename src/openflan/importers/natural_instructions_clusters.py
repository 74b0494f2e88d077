"""Which cluster a category of Super-NaturalInstructions belongs to.

Its 76 categories (`doc/task-hierarchy.md`), each in the cluster whose tasks ask the same, in a subcluster of `misc`,
or in `misc` where FLAN has nothing like it. A question is reading comprehension unless its dataset's cluster is known:
most of their questions come with a passage, and a hold-out rather drops one too many. Older files nest categories
(`Question Answering -> Commonsense Question Answering`): the last part that is clear counts.
"""

from collections.abc import Iterable

from openflan.importers.named import cluster_in_catalog, squashed
from openflan.importers.promptsource_clusters import cluster_of
from openflan.tasks.clusters import SUBCLUSTERS

__all__ = ["CATEGORIES", "cluster_of_categories"]

_QUESTIONS = "Question Answering"
_ASKING = ("question answering", "answer generation")
"""Categories of which the dataset says more."""

_MEMBERS = {
    "commonsense": (
        "Cause Effect Classification; Coherence Classification; Commonsense Classification; Story Composition;"
        " Text Completion"
    ),
    "coreference": "Coreference Resolution",
    "natural_language_inference": "Textual Entailment",
    "paraphrase": "Paraphrasing; Question Rewriting; Style Transfer; Text Matching; Text Simplification",
    "reading_comprehension": f"Answer Verification; Answerability Classification; {_QUESTIONS}",
    "sentiment": "Irony Detection; Sentiment Analysis",
    "struct_to_text": "Data to Text",
    "summarization": "Sentence Compression; Summarization; Title Generation",
    "translation": "Translation",
    "fact_verification": "Fact Verification",
    "formatting": "Punctuation Error Detection; Spelling Error Detection",
    "linguistic_acceptability": "Grammar Error Correction; Grammar Error Detection; Linguistic Probing",
    "math": "Mathematics",
    "question_classification": "Question Understanding",
    "word_sense": "Word Semantics",
    "misc": (
        "Code to Text; Dialogue Act Recognition; Dialogue Generation; Dialogue State Tracking; Discourse Connective"
        " Identification; Discourse Relation Classification; Entity Generation; Entity Relation Classification; Ethics"
        " Classification; Explanation; Fill in The Blank; Gender Classification; Information Extraction; Intent"
        " Identification; Keyword Tagging; Language Identification; Misc.; Named Entity Recognition; Negotiation"
        " Strategy Detection; Number Conversion; Overlap Extraction; Paper Review; Poem Generation; Pos Tagging;"
        " Preposition Prediction; Program Execution; Question Decomposition; Question Generation; Section"
        " Classification; Sentence Composition; Sentence Expansion; Sentence Ordering; Sentence Perturbation; Spam"
        " Classification; Speaker Identification; Speaker Relation Classification; Stance Detection; Stereotype"
        " Detection; Text Categorization; Text Quality Evaluation; Text to Code; Toxic Language Detection; Word"
        " Analogy; Word Relation Classification; Wrong Candidate Generation"
    ),
}

_OLDER = {
    "closed_book_qa": "Open Question Answering",
    "commonsense": "Commonsense Question Answering; Story Completion; Commonsense Concept Classification",
    "coreference": "Coreference; Entity Coreference; Pronoun Disambiguation",
    "natural_language_inference": "Entailment; Entailment Verification",
    "paraphrase": "Paraphrase Verification; Semantic Textual Similarity",
    "reading_comprehension": "Answer Generation; Contextual Question Answering",
    "linguistic_acceptability": "Grammar Verification",
    "misc": "Incorrect Answer Generation; Question Composition; Semantic Parsing; Structured Text Processing",
}
"""Names of the files from before the list of 76."""

_QUESTION_SETS = {
    "closed_book_qa": "com_qa; freebase_qa; jeopardy; measuring_massive_multitask_language_understanding; wiki_movies",
    "commonsense": "proto_qa",
    "math": "ai2_arithmetic_questions; mathmatics_dataset; nlu_asdiv_dataset",
}
"""Datasets whose questions come without a passage, as the files spell them."""


def _by_category(members: dict[str, str]) -> dict[str, str]:
    return {one.strip(): cluster for cluster, listed in members.items() for one in listed.split(";")}


CATEGORIES = _by_category(_MEMBERS)
"""The 76 categories, and the cluster or subcluster of each."""

_KNOWN = {one.lower(): cluster for one, cluster in (_by_category(_OLDER) | CATEGORIES).items()}


def cluster_of_categories(categories: Iterable[str], sources: Iterable[str]) -> tuple[str, str | None] | None:
    """A task's cluster, and its subcluster within `misc`; None where no category is known.

    Args:
        categories: those of the task, the first that is known counts.
        sources: the datasets that it is made from.
    """
    for category in categories:
        for part in reversed([part.strip().lower() for part in category.split("->")]):
            named = _KNOWN.get(part)
            if named is None:
                continue
            return (part in _ASKING and _of_sources(sources)) or _placed(named)
    return None


def _placed(named: str) -> tuple[str, str | None]:
    return ("misc", named) if named in SUBCLUSTERS else (named, None)


def _of_sources(sources: Iterable[str]) -> tuple[str, str | None] | None:
    """The cluster of the first dataset whose cluster is known."""
    clusters = {squashed(one): cluster for one, cluster in _by_category(_QUESTION_SETS).items()}
    for source in sources:
        if (placed := cluster_in_catalog([source])) is not None:
            return placed
        if (named := clusters.get(squashed(source.partition("(")[0]))) is not None:
            return _placed(named)
        if (placed := cluster_of(source.strip(), None)) != ("misc", None):
            return placed
    return None

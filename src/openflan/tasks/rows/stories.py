"""Steps that build endings, completions and marked pronouns from stories and sentences."""

import re

from openflan.tasks.rows.registry import Row, step

_PLACEHOLDER = "@placeholder"
_HIGHLIGHT = "@highlight"
_ARTICLE = re.compile(r"(The|A|An|My|His|Her|Their|Some)\b")
_POSSESSIVE = ("his", "their", "its")


@step
def record_completions(row: Row) -> Row | None:
    """Add `before`, `completions` and `right`: every entity with the rest of the query; cut highlights off (ReCoRD)."""
    before, _, after = row["query"].partition(_PLACEHOLDER)
    entities = list(dict.fromkeys(row["entities"]))
    right = [entity + after for entity in dict.fromkeys(row["answers"]) if entity in entities]
    if not right or len(entities) < 2:
        return None
    passage = row["passage"].partition(_HIGHLIGHT)[0].strip()
    completions = [entity + after for entity in entities]
    return {**row, "passage": passage, "before": before.rstrip(), "completions": completions, "right": right}


@step
def completions_at_pronoun(row: Row) -> Row:
    """Add `before` and `completions`: each option in the pronoun's place with the rest of the sentence (WSC273)."""
    start, pronoun = row["pronoun_loc"], row["pronoun"]
    before, after = row["text"][:start].rstrip(), row["text"][start + len(pronoun) :]
    opens = not before or before[-1] in ".?!:"
    completions = [_in_place(option, pronoun, after, opens=opens) + after for option in row["options"]]
    return {**row, "before": before, "completions": completions}


@step
def last_word_apart(row: Row) -> Row:
    """Add `before` and `word`, the passage without its last word and that word (LAMBADA)."""
    before, _, word = row["text"].rstrip().rpartition(" ")
    return {**row, "before": before.rstrip(), "word": word}


@step
def mark_pronoun_in_text(row: Row) -> Row:
    """Add `marked`, the sentence with asterisks round the last occurrence of the pronoun (DPR)."""
    places = list(re.finditer(rf"\b{re.escape(row['pronoun'])}\b", row["sentence"]))
    if not places:
        return {**row, "marked": row["sentence"]}
    start, stop = places[-1].span()
    text = row["sentence"]
    return {**row, "marked": f"{text[:start]}*{text[start:stop]}*{text[stop:]}"}


def _in_place(option: str, pronoun: str, after: str, *, opens: bool) -> str:
    """An option as it stands in the pronoun's place: small article inside a sentence, possessive where it was one."""
    if not opens and _ARTICLE.match(option):
        option = option[0].lower() + option[1:]
    owns = pronoun.lower() in _POSSESSIVE or (pronoun.lower() == "her" and re.match(r" [a-z]+", after) is not None)
    return option + ("'" if option.endswith("s") else "'s") if owns else option

"""Steps that build what a question is made of: parts of a sentence, marked words, facts."""

import re

from openflan.tasks.rows.registry import Row, step


@step
def fact_or_blank(row: Row) -> Row:
    """Give a row without its science fact an empty one (OpenBookQA, config main)."""
    return {**row, "fact1": row.get("fact1") or ""}


@step
def cut_at_blank(row: Row) -> Row:
    """Add `before` and `after`, the sentence up to the blank and the rest of it (Winogrande)."""
    before, _, after = row["sentence"].partition("_")
    return {**row, "before": before.rstrip(), "after": after}


@step
def star_pronoun(row: Row) -> Row:
    """Add `marked`, the text with asterisks round the pronoun in question (WSC)."""
    words = row["text"].split()
    spot, pronoun = row["span2_index"], row["span2_text"]
    if spot < len(words) and words[spot].startswith(pronoun):
        words[spot] = f"*{pronoun}*{words[spot][len(pronoun) :]}"
        return {**row, "marked": " ".join(words)}
    return {**row, "marked": re.sub(rf"\b{re.escape(pronoun)}\b", f"*{pronoun}*", row["text"], count=1)}

"""Steps that name what a question is made of: parts of a sentence, sides of a pair, marked words, facts, scores."""

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


@step
def english_and_foreign(row: Row) -> Row | None:
    """Name the two sides of a pair, trimmed, whatever the language; drop pairs with an empty side (WMT, ParaCrawl)."""
    pair = row["translation"]
    english = (pair["en"] or "").strip()
    foreign = (next((text for code, text in pair.items() if code != "en"), None) or "").strip()
    return {**row, "english": english, "foreign": foreign} if english and foreign else None


@step
def rounded_score(row: Row) -> Row:
    """Add `rounded`, the score as a whole number in words, half to even: 0.5 gives 0, 2.5 gives 2 (STS-B)."""
    return {**row, "rounded": str(round(row["label"]))}

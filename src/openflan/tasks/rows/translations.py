"""Steps that take sentence pairs apart."""

from openflan.tasks.rows.registry import Row, step


@step
def english_and_foreign(row: Row) -> Row | None:
    """Name the two sides of a pair, trimmed, whatever the language; drop pairs with an empty side (WMT, ParaCrawl)."""
    pair = row["translation"]
    english = (pair["en"] or "").strip()
    foreign = (next((text for code, text in pair.items() if code != "en"), None) or "").strip()
    return {**row, "english": english, "foreign": foreign} if english and foreign else None

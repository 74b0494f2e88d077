"""Steps that drop rows, or choose among them."""

from openflan.tasks.rows.registry import Row, step


@step
def drop_unlabelled(row: Row) -> Row | None:
    """Drop rows whose label is -1, empty or absent (SNLI's undecided pairs, hub test sets)."""
    return None if row.get("label") in (-1, "", None) else row


@step
def drop_neutral_tweets(row: Row) -> Row | None:
    """Drop tweets of sentiment 2, neutral, which only the test split has (Sentiment140)."""
    return None if row["sentiment"] == 2 else row


@step
def neutral_tweets_are_negative(row: Row) -> Row:
    """Count tweets of sentiment 2, neutral, as negative, as the authors' code does (Sentiment140)."""
    return {**row, "sentiment": 0} if row["sentiment"] == 2 else row


@step
def drop_masked_words(row: Row) -> Row | None:
    """Drop rows with unknown words or masked digits (Gigaword)."""
    texts = [value for value in row.values() if isinstance(value, str)]
    return None if any(mark in text for text in texts for mark in ("UNK", "#", "<unk>")) else row


@step
def keep_four_choices(row: Row) -> Row | None:
    """Drop questions without exactly four different choices (ARC, OpenBookQA)."""
    texts = row["choices"]["text"]
    return row if len(texts) == len(set(texts)) == 4 else None

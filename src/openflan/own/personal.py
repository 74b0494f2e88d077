"""Personal data that stands in a table: what looks like e-mail addresses and card numbers, counted.

What is found is masked by the cleaning step `mask_personal_data`, which the task file names and its owner may remove.

Invariant: rows are counted, nothing is kept. Rejected: names of people, which no pattern tells from other words.
"""

from collections.abc import Iterable

from openflan.own.profile import OwnColumn
from openflan.tasks.rows.personal import CARDS, EMAILS, is_card

__all__ = ["personal_data"]


def personal_data(columns: Iterable[OwnColumn]) -> list[str]:
    """A line for each column and kind of personal data that it seems to hold."""
    lines = []
    for column in columns:
        if column.kind not in ("text", "texts"):
            continue
        texts = [
            value if isinstance(value, str) else " ".join(map(str, value))
            for value in column.values
            if value is not None
        ]
        mails = sum("@" in text and EMAILS.search(text) is not None for text in texts)
        cards = sum(any(is_card(number) for number in CARDS.findall(text)) for text in texts)
        for count, what in ((mails, "an e-mail address"), (cards, "a card number")):
            if count:
                lines.append(
                    f"{column.path}: {count:,} of {len(column.values):,} rows hold what looks like {what}; it is masked"
                    " (rows: [mask_personal_data])"
                )
    return lines

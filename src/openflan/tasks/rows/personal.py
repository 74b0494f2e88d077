"""A step that masks personal data of which the form tells what it is."""

import re
from typing import Any

from openflan.tasks.rows.registry import Row, step

EMAILS = re.compile(r"[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,5}[A-Za-z]{2,24}\b")
CARDS = re.compile(r"(?<![\w.,-])[3-6]\d{3}(?:[ -]?\d{4}){2}[ -]?\d{1,7}(?![\w-])")


@step
def mask_personal_data(row: Row) -> Row:
    """Put `[e-mail]` and `[card number]` in the place of e-mail addresses and card numbers."""
    return {name: _masked(value) for name, value in row.items()}


def is_card(digits: str) -> bool:
    """Whether figures are a card number: 13 to 19 of them, with Luhn's check digit."""
    figures = [int(figure) for figure in digits if figure.isdigit()]
    if not 13 <= len(figures) <= 19 or len(set(figures)) == 1:
        return False
    doubled = (sum(divmod(2 * figure, 10)) for figure in figures[-2::-2])
    return (sum(figures[-1::-2]) + sum(doubled)) % 10 == 0


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        text = EMAILS.sub("[e-mail]", value) if "@" in value else value
        return CARDS.sub(lambda match: "[card number]" if is_card(match[0]) else match[0], text)
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return {name: _masked(below) for name, below in value.items()} if isinstance(value, dict) else value

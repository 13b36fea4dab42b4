"""Billing: matches incoming bank transfers with open invoices."""

import re
from decimal import Decimal

NUMBER = re.compile(r"\bR\d{7}\b")


def match_transfer(reference: str, amount: Decimal, open_invoices: dict[str, Decimal]) -> str | None:
    """The invoice that a transfer pays in full, or None where a person has to look."""
    found = NUMBER.search(reference)
    if found and open_invoices.get(found.group()) == amount:
        return found.group()
    return None

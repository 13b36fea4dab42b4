"""Checks of billing: totals, tax and rounding."""

from decimal import Decimal

from shop.billing.invoice import Line, invoice_for


def check_total_has_tax() -> None:
    invoice = invoice_for(7, [Line("A1", 2, Decimal("10.00"))])
    assert invoice.total == Decimal("24.00")


def check_number_is_stable() -> None:
    assert invoice_for(7, []).number == "R0000007"

"""Billing: turns an order into an invoice with tax."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from shop.settings import VAT_PERCENT


@dataclass(frozen=True)
class Line:
    sku: str
    quantity: int
    unit_price: Decimal


@dataclass(frozen=True)
class Invoice:
    number: str
    lines: tuple[Line, ...]

    @property
    def net(self) -> Decimal:
        return sum((line.quantity * line.unit_price for line in self.lines), Decimal(0))

    @property
    def tax(self) -> Decimal:
        return (self.net * VAT_PERCENT / 100).quantize(Decimal("0.01"), ROUND_HALF_UP)

    @property
    def total(self) -> Decimal:
        return self.net + self.tax


def invoice_for(order_id: int, lines: list[Line]) -> Invoice:
    """Numbers are the order's, so that billing an order twice gives the same invoice."""
    return Invoice(f"R{order_id:07d}", tuple(lines))

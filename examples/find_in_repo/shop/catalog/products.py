"""Products and their search."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Product:
    sku: str
    title: str
    price_cents: int
    tags: frozenset[str] = frozenset()


def search(products: list[Product], text: str) -> list[Product]:
    needle = text.casefold()
    return [p for p in products if needle in p.title.casefold() or needle in p.tags]

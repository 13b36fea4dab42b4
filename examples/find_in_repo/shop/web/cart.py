"""The shopping cart, kept in the session."""


def add(cart: dict[str, int], sku: str, quantity: int = 1) -> dict[str, int]:
    return {**cart, sku: cart.get(sku, 0) + quantity}


def remove(cart: dict[str, int], sku: str) -> dict[str, int]:
    return {k: n for k, n in cart.items() if k != sku}

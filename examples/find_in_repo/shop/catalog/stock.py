"""Stock levels: reserve when an order comes in, release when it is cancelled."""


class Stock:
    def __init__(self, levels: dict[str, int]) -> None:
        self._levels = dict(levels)
        self._reserved: dict[str, int] = {}

    def free(self, sku: str) -> int:
        return self._levels.get(sku, 0) - self._reserved.get(sku, 0)

    def reserve(self, sku: str, quantity: int) -> bool:
        if self.free(sku) < quantity:
            return False
        self._reserved[sku] = self._reserved.get(sku, 0) + quantity
        return True

    def release(self, sku: str, quantity: int) -> None:
        self._reserved[sku] = max(0, self._reserved.get(sku, 0) - quantity)

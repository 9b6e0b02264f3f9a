"""How much a run may still send: what is paid, and what is under way at what it can cost at most."""

from decimal import Decimal


class Budget:
    """A limit in US dollars that what is sent never passes; none for None."""

    def __init__(self, limit: Decimal | None) -> None:
        """Nothing is spent yet."""
        self._limit = limit
        self._under_way = Decimal(0)
        self.spent = Decimal(0)
        self.exhausted = False
        """Whether more was wanted than the limit allows."""

    @property
    def under_way(self) -> Decimal:
        """What was sent and not paid yet can cost at most."""
        return self._under_way

    def take(self, most: Decimal | None) -> bool:
        """Whether something may be sent that costs so much at most; it is under way then."""
        amount = most or Decimal(0)
        if self._limit is not None and self.spent + self._under_way + amount > self._limit:
            return False
        self._under_way += amount
        return True

    def give_back(self, most: Decimal | None) -> None:
        """Note that something was not sent after all."""
        self._under_way -= most or Decimal(0)

    def settle(self, most: Decimal | None, cost: Decimal | None) -> None:
        """Note what something cost in the end; at most, where nobody knows."""
        amount = most or Decimal(0)
        self._under_way -= amount
        self.spent += amount if cost is None else cost

"""Who has been served how much, and who is next.

Virtual counters: tokens served to a share divided by its weight. A share that was idle comes back no lower than the
least served of the active ones, so idling saves up nothing. Knows no request and no time. Called by `batch`.
"""

from collections.abc import Iterable

PREFILL_COST = 1
DECODE_COST = 2
_SCALE = 1 << 20
_NEWCOMER = 1 << 62  # stamps of shares not served since they came are below all others


class FairOrder:
    """Counters of the shares with work, and of those idle ones that are still ahead."""

    def __init__(self) -> None:
        self._served: dict[str, int] = {}
        self._weight: dict[str, int] = {}
        self._members: dict[str, int] = {}
        self._since: dict[str, int] = {}
        self._changes = 0
        self._floor = 0

    def join(self, share: str, weight: int) -> None:
        """One more piece of work for `share`; the newest weight counts. Raises ValueError for a weight below 1."""
        if weight < 1:
            raise ValueError(f"weight {weight} of share {share!r} must be at least 1")
        if share not in self._members:
            self._served[share] = max(self._served.get(share, 0), self._level())
            self._members[share] = 0
            self._changes += 1
            self._since[share] = self._changes - _NEWCOMER
        self._members[share] += 1
        self._weight[share] = weight

    def leave(self, share: str) -> None:
        """One piece of work less."""
        self._members[share] -= 1
        if self._members[share]:
            return
        level = self._level()
        del self._members[share], self._weight[share], self._since[share]
        self._floor = self._level() if self._members else max(level, self._served[share])
        self._served = {
            name: served for name, served in self._served.items() if name in self._members or served > self._floor
        }

    def charge(self, share: str, cost: int) -> None:
        """`cost` tokens' worth was served to an active share."""
        self._served[share] += cost * _SCALE // self._weight[share]
        self._stamp(share)

    def least_served(self, shares: Iterable[str]) -> str:
        """Of equally served ones a newcomer, else the one that has stood there longest.

        A newcomer is lifted to the least counter, so it ties with whoever was just served, and would otherwise wait for
        one more step; once served it stands behind, so with any number of shares everybody's turn comes.
        """
        return min(shares, key=lambda share: (self._served[share], self._since[share]))

    def most_served(self, shares: Iterable[str]) -> str:
        """Of equally served ones the first."""
        return max(shares, key=self._served.__getitem__)

    def virtual_tokens(self, share: str) -> float:
        """The share's counter in tokens for each unit of weight."""
        return self._served.get(share, self._floor) / _SCALE

    def _stamp(self, share: str) -> None:
        self._changes += 1
        self._since[share] = self._changes

    def _level(self) -> int:
        """The least counter of an active share, which a returning one is lifted to."""
        return min((self._served[share] for share in self._members), default=self._floor)

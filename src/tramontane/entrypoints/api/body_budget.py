"""How many bytes of request bodies the doors hold at once, in all and for one workspace.

One body is bounded where it is read; many at once would fill the memory all the same. Knows neither HTTP nor JSON;
`policy` opens one `HeldBody` per request and `body` reports every piece that arrives.
"""

from types import TracebackType

from tramontane.foundation.errors import Overloaded, RateLimited

RETRY_S = 1.0
# So that no workspace can keep the others out; the settings make room for one whole body in it.
WORKSPACE_PART = 2


class BodyBudget:
    """The bytes of one application. Counts what has arrived, not what was announced, which costs nobody memory."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self._by_workspace: dict[str, int] = {}

    def held_by(self, workspace_id: str) -> int:
        return self._by_workspace.get(workspace_id, 0)

    def take(self, workspace_id: str, size_bytes: int) -> None:
        """Raises RateLimited when the workspace holds its part, Overloaded when all is held; then nothing is taken."""
        mine = self.held_by(workspace_id) + size_bytes
        part = self.limit_bytes // WORKSPACE_PART
        if mine > part:
            message = f"your requests hold {part} bytes together, as many as they may; wait for an answer first"
            raise RateLimited(message, retry_after_s=RETRY_S)
        if self.held_bytes + size_bytes > self.limit_bytes:
            message = "too many large requests came at once; send it again in a moment"
            raise Overloaded(message, retry_after_s=RETRY_S)
        self.held_bytes += size_bytes
        self._by_workspace[workspace_id] = mine

    def give_back(self, workspace_id: str, size_bytes: int) -> None:
        self.held_bytes -= size_bytes
        left = self._by_workspace.pop(workspace_id, 0) - size_bytes
        if left:
            self._by_workspace[workspace_id] = left


class HeldBody:
    """One request's bytes, given back when the block is left: when it is answered, or its stream begins."""

    __slots__ = ("_budget", "_size_bytes", "_workspace_id")

    def __init__(self, budget: BodyBudget, workspace_id: str) -> None:
        self._budget = budget
        self._workspace_id = workspace_id
        self._size_bytes = 0

    def __enter__(self) -> "HeldBody":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._size_bytes:
            self._budget.give_back(self._workspace_id, self._size_bytes)

    def grow(self, size_bytes: int) -> None:
        """Raises RateLimited or Overloaded."""
        if size_bytes:
            self._budget.take(self._workspace_id, size_bytes)
            self._size_bytes += size_bytes

"""What surrounds the engine in its tests: a directory of models, a starter of fake servers, a book of receipts."""

from collections.abc import Callable, Mapping

from tramontane.engine.ports import ModelRef, ModelServer, Receipt
from tramontane.foundation.errors import NotFound
from tramontane.foundation.nouns import Caller, Sampling
from tramontane.foundation.progress import ProgressReport


def caller(workspace: str = "quiet", **fields: object) -> Caller:
    """A caller of this workspace; other fields by keyword."""
    known: dict[str, object] = {"organisation_id": "org", "workspace_id": workspace, "principal_id": f"{workspace}-p"}
    return Caller(**{**known, **fields})  # type: ignore[arg-type]


class Directory:
    """Knows the models named, and `alias` for the first of them; advises `sampling` for each."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.sampling = Sampling()

    def resolve(self, caller: Caller, name: str) -> ModelRef:
        return self.named(name)

    def named(self, name: str) -> ModelRef:
        if name == "alias":
            name = self.names[0]
        if name not in self.names:
            raise NotFound(f"no model {name}; did you mean {self.names[0]}?", param="model")
        return ModelRef(name=name, sampling=self.sampling)


class Starter:
    """Starts what `build` makes; `failures` are raised first, one a start."""

    def __init__(self, build: Callable[[str], ModelServer], sizes: Mapping[str, int] | None = None) -> None:
        self.build = build
        self.sizes = dict(sizes or {})
        self.failures: list[Exception] = []
        self.servers: list[ModelServer] = []
        self.before_start: Callable[[str], object] | None = None

    async def start(self, model: str, report: ProgressReport) -> ModelServer:
        report("weights", 1, 2)
        if self.before_start is not None:
            await self.before_start(model)  # type: ignore[misc]
        if self.failures:
            raise self.failures.pop(0)
        server = self.build(model)
        self.servers.append(server)
        return server

    def memory_bytes(self, model: str) -> int:
        return self.sizes.get(model, 0)


class Book:
    """Keeps every receipt posted, and who was begun."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.receipts: list[Receipt] = []
        self.full: Exception | None = None

    def ensure_room(self) -> None:
        if self.full is not None:
            raise self.full

    def begin(self, receipt: Receipt) -> None:
        self.begun.append(receipt.request_id)

    def post(self, receipt: Receipt) -> None:
        self.receipts.append(receipt)

    def of(self, request_id: str) -> Receipt:
        """The one receipt of this request."""
        (found,) = [receipt for receipt in self.receipts if receipt.request_id == request_id]
        return found

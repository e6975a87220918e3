"""A hub on the loopback, and a reporter that remembers."""

from collections.abc import Iterator

import pytest
from tests.fakes.hub import FakeHub, running_hub


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with running_hub() as server:
        yield server


class Reports(list[tuple[str, int, int]]):
    """Every report, in order."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        self.append((stage, done, total))


@pytest.fixture
def reports() -> Reports:
    return Reports()

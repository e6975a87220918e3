"""Two workspaces of one organisation and one of another, on each database."""

from typing import NamedTuple

import pytest
from tests.fakes.clock import FakeClock

from tramontane.foundation.store.database import Database
from tramontane.foundation.store.scope import Scope
from tramontane.records.access import Keys, Places


class World(NamedTuple):
    """What most tests need: the verbs, a clock to move, and three places."""

    database: Database
    clock: FakeClock
    keys: Keys
    places: Places
    mine: Scope
    sibling: Scope
    foreign: Scope


@pytest.fixture
def world(database: Database) -> World:
    clock = FakeClock()
    places = Places(database, clock)
    ours = places.create_organisation("ours").organisation_id
    theirs = places.create_organisation("theirs").organisation_id
    return World(
        database=database,
        clock=clock,
        keys=Keys(database, clock),
        places=places,
        mine=places.create_workspace(ours, "mine", weight=3).scope,
        sibling=places.create_workspace(ours, "sibling").scope,
        foreign=places.create_workspace(theirs, "mine").scope,
    )

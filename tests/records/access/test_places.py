"""Organisations, workspaces, people: names are unique where they must be, and a stranger finds nothing."""

import pytest
from tests.records.access.conftest import World

from tramontane.foundation.errors import Conflict, InvalidFields, NotFound
from tramontane.foundation.store.scope import Scope


def test_workspaces_are_found_by_name_or_id_in_their_organisation_only(world: World) -> None:
    ours, theirs = world.mine.organisation_id, world.foreign.organisation_id
    assert [found.name for found in world.places.workspaces(ours)] == ["mine", "sibling"]
    assert world.places.workspace(ours, "mine").scope == world.mine
    assert world.places.workspace(ours, world.sibling.workspace_id).scope == world.sibling
    assert world.places.workspace(theirs, "mine").scope == world.foreign
    for name in ("sibling", world.mine.workspace_id):
        with pytest.raises(NotFound):
            world.places.workspace(theirs, name)


def test_names_are_taken_once(world: World) -> None:
    with pytest.raises(Conflict):
        world.places.create_organisation("ours")
    with pytest.raises(Conflict):
        world.places.create_workspace(world.mine.organisation_id, "mine")
    with pytest.raises(NotFound):
        world.places.create_workspace("org_none", "new")
    with pytest.raises(InvalidFields):
        world.places.create_workspace(world.mine.organisation_id, "new", weight=0)
    assert world.places.organisation("ours").organisation_id == world.mine.organisation_id


def test_a_workspaces_weight_can_be_changed_and_a_strangers_cannot(world: World) -> None:
    world.places.set_weight(world.sibling, 5)
    found = {one.name: one.weight for one in world.places.workspaces(world.mine.organisation_id)}
    assert found == {"mine": 3, "sibling": 5}
    with pytest.raises(NotFound):
        world.places.set_weight(Scope(world.foreign.organisation_id, world.mine.workspace_id), 5)
    with pytest.raises(InvalidFields):
        world.places.set_weight(world.mine, 0)


def test_people_belong_to_workspaces_of_their_organisation(world: World) -> None:
    ada = world.places.add_person(world.mine.organisation_id, "Ada", "Ada@Example.org")
    stranger = world.places.add_person(world.foreign.organisation_id, "Eve", "ada@example.org")
    world.places.join(world.mine, ada.person_id, "administrator")
    assert [(member.person, member.role) for member in world.places.members(world.mine)] == [(ada, "administrator")]
    assert world.places.members(world.sibling) == []
    with pytest.raises(NotFound):
        world.places.join(world.mine, stranger.person_id, "member")
    with pytest.raises(Conflict):
        world.places.join(world.mine, ada.person_id, "member")
    with pytest.raises(InvalidFields):
        world.places.join(world.sibling, ada.person_id, "king")  # type: ignore[arg-type]
    with pytest.raises(Conflict):
        world.places.add_person(world.mine.organisation_id, "Another", "ADA@example.org")

"""A site whose pages have the studio: real records and a real studio under the browser's way in."""

from functools import partial
from typing import Any

from tests.entrypoints.web.conftest import Site
from tests.fakes.doors import fake_doors
from tests.fakes.studio import Workbench

from tramontane.entrypoints import web
from tramontane.entrypoints.api import build_app
from tramontane.entrypoints.api.drain import Drain
from tramontane.entrypoints.web import WebDoors
from tramontane.foundation.store.database import Database


def with_studio(site: Site, database: Database, bench: Workbench, drain: Drain | None = None, **more: Any) -> Site:
    """The same site, its application built anew with these models."""
    drain = drain or Drain()
    browser = WebDoors(
        accounts=site.accounts, database=database, default_model="tiny", studio=bench.studio, drain=drain, **more
    )
    doors = fake_doors(
        sessions=site.accounts.sessions.signed_in,
        more=(partial(web.add_routes, web=browser),),
        clock=site.clock,
        drain=drain,
    )
    return site._replace(app=build_app(doors))

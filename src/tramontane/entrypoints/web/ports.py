"""What the browser's way in needs from inside. The composition root fills a `WebDoors`; tests fill it with real records."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tramontane.entrypoints.api.drain import Drain
from tramontane.entrypoints.web.client_files import ClientFiles
from tramontane.entrypoints.web.studio_ports import Studio
from tramontane.foundation.clock import Clock, SystemClock
from tramontane.foundation.settings import HttpSettings
from tramontane.foundation.store.database import Database
from tramontane.records.access.accounts import Accounts


@dataclass(frozen=True, kw_only=True)
class WebDoors:
    """Everything behind `/web`. `default_model` is the one a new conversation starts with.

    Blocking verbs of the records go through the lanes of `database`. Without a `studio` there are no pages of models.
    `forget_key` has the doors look a key up anew; streams end when `drain` begins to close.
    """

    accounts: Accounts
    database: Database
    default_model: str
    client_files: ClientFiles = field(default_factory=ClientFiles)
    settings: HttpSettings = field(default_factory=lambda: HttpSettings.model_validate({}))
    clock: Clock = field(default_factory=SystemClock)
    studio: Studio | None = None
    forget_key: Callable[[str], None] = lambda key_id: None
    drain: Drain = field(default_factory=Drain)

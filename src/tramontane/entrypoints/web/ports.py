"""What the browser's way in needs from inside. The composition root fills a `WebDoors`; tests fill it with fakes."""

from dataclasses import dataclass, field

from tramontane.foundation.clock import Clock, SystemClock
from tramontane.foundation.settings import HttpSettings


@dataclass(frozen=True, kw_only=True)
class WebDoors:
    """Everything behind `/web`. `default_model` is the one a new conversation starts with."""

    default_model: str
    settings: HttpSettings = field(default_factory=lambda: HttpSettings.model_validate({}))
    clock: Clock = field(default_factory=SystemClock)

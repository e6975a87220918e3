"""How a question to the catalogue can fail. Each message names the model and what to do about it."""

from tramontane.foundation.errors import Conflict, Forbidden, Misconfigured, NotFound


class ModelNotFound(NotFound):
    """No model or alias of that name in the caller's scope; `near` lists the names that look like it."""

    code = "model_not_found"

    def __init__(self, message: str, near: tuple[str, ...]) -> None:
        super().__init__(message, param="model")
        self.near = near


class LicenceNotAccepted(Forbidden):
    """An administrator has to accept the licence before the model is fetched or served."""

    code = "licence_not_accepted"


class NameTaken(Conflict):
    """The name is in use: choose another or remove what has it."""

    code = "name_taken"


class CatalogueBroken(Misconfigured):
    """The catalogue file does not say what it must; the message names the entry and the field."""


class NoEngine(Conflict):
    """No engine of this installation runs the model: the message says which one could."""

    code = "no_engine"

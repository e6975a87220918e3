"""What can go wrong between us and the disk, beyond `StorageFull` of the foundation's tree.

StorageBusy     somebody else holds the database longer than we wait; try again
StorageFailed   the database cannot be reached or its disk refuses; the operator must look
NoDatabase      there is none yet; the message says what makes one
StoreInUse      a restore wants the store alone while others use it, or the other way round
OutcomeUnknown  the connection broke while committing: the change may or may not be there; repeat with the same key
"""

from tramontane.foundation.errors import Conflict, Misconfigured, Overloaded, TramontaneError


class StorageBusy(Overloaded):
    code = "storage_busy"


class StorageFailed(Overloaded):
    code = "storage_failed"


class NoDatabase(Misconfigured):
    pass


class StoreInUse(Conflict):
    code = "store_in_use"


class OutcomeUnknown(TramontaneError):
    code = "outcome_unknown"

"""How much: one receipt for every request, and the sums over them."""

from tramontane.records.ledger.book import ReceiptBook
from tramontane.records.ledger.days import DaySums
from tramontane.records.ledger.nouns import Outcome, Receipt, Usage
from tramontane.records.ledger.usage import OrganisationWide, usage

__all__ = ["DaySums", "OrganisationWide", "Outcome", "Receipt", "ReceiptBook", "Usage", "usage"]

"""Tramontane: open-weight models served, shared and accounted for on an organisation's own hardware."""

__version__ = "0.1.0"

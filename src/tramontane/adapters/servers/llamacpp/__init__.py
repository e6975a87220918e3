"""A llama.cpp server of our own for what the embedded engine cannot run; needs the extra `llamacpp`."""

from tramontane.adapters.servers.llamacpp.starter import LlamaCppStarter

__all__ = ["LlamaCppStarter"]

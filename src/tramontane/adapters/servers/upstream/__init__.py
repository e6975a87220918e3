"""Any server that speaks OpenAI's API as a ModelServer: vLLM, llama.cpp's server, Ollama, a second Tramontane."""

from tramontane.adapters.servers.upstream.server import UpstreamServer, UpstreamSettings, connect

__all__ = ["UpstreamServer", "UpstreamSettings", "connect"]

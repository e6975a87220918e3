"""The model families the embedded engine has a graph for. Alone in its file so that asking costs no library."""

SUPPORTED_FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "phi3")

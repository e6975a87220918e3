"""The formats models come in, read once for everybody: GGUF, safetensors and JSON; bounded, checked, pure Python.

Knows no source and no engine. `sources` asks here what has arrived, `servers` builds its tensors and words on the same
headers, so that nothing is accepted on arrival that is read differently later.
"""

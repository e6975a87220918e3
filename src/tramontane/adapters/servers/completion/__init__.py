"""Words to tokens and back: tokenizers, chat templates, tool-call and reasoning formats, grammars.

Used inside the process that holds the weights and when a model is prepared. Knows no HTTP, no scheduler and no tensor.
"""

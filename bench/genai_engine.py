"""The product's engine process with another engine in it: confined, threaded and answering frames as ever.

Only what is loaded differs (genai_loop.py). genai_front.py has the gateway start it in the place of the product's own.
"""

import logging
import os
import sys

from tramontane.adapters.servers.openvino import process

# Told by contestants.py, passed on by genai_front.py: who runs the pipeline, what it reads, whose words are used.
PYTHON_VARIABLE, MODEL_VARIABLE, WORDS_VARIABLE = "BENCH_GENAI_PYTHON", "BENCH_GENAI_MODEL", "BENCH_GENAI_WORDS"
SLOTS = 64
CACHE_BYTES = 1 << 30

if __name__ == "__main__":
    process.LOADING_MODULE = "bench.genai_loop"
    status = process.main(int(sys.argv[1]), sys.argv[2])
    logging.shutdown()
    os._exit(status)

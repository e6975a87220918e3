"""llama.cpp's own HTTP server on the same GGUF, as its users run it on a small machine. A child of contestants.py.

Arguments: model file, port, parallel slots. Two threads as the machine has cores; the other values are the ones its
documentation gives for serving many users (continuous batching, one context window split over the slots).
"""

import sys
import time

import xllamacpp


def main(model: str, port: int, slots: int) -> None:
    """Serve until killed; prints `ready` once it listens."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = port
    parameters.n_parallel = slots
    parameters.n_ctx = 2048 * slots
    parameters.kv_unified = False
    parameters.n_batch, parameters.n_ubatch = 2048, 512
    parameters.cont_batching = True
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 2
    parameters.cache_ram_mib = 0
    parameters.verbosity = 0
    server = xllamacpp.Server(parameters)
    print("ready", server.listening_address, flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

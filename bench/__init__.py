"""Benchmarks: every figure in RESULTS.md comes from here; `make bench` reruns them all."""

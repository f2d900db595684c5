"""Measurements of speed and memory: ``python -m benchmarks [NAME...] [--quick]``.

A benchmark is a module with ``measure(quick)`` and ``draw(result, axes)``; it is found by being
here. What is compared is measured in one process in turns, and the best of several repetitions
counts, so that a busy machine distorts ratios little.
"""

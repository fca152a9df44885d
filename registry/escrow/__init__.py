"""Escrow: all that makes the node, in signed files from which another one can be made.

A snapshot holds everything, an increment what has changed since the step before it. Which tables
are in it and why stands in tables.py, what a step says of itself in manifest.py; taking.py writes
steps and restoring.py makes a node of them. docs/escrow.md tells it to operators.
"""

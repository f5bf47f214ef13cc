"""Measure how far this package is from the published numbers.

``python -m tests.parity`` runs every test that reads a file of the reference
folder, notes each comparison with one of its arrays, and writes the table of
``docs/parity.md``: figures of that run, none of them typed.
"""

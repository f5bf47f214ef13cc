"""Odd inputs for every reader that a user reaches through the command line.

Small sound inputs are written, changed at random (their bytes, or one thing in
what they hold) and read by the command that a user would run, each in a child
process with little time and memory. A reader may take the input or refuse it
with a message that names it; nothing else.

    python -m tests.fuzz --inputs 3000 --seed 0
"""

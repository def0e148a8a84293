"""The work that every system is given."""

QUEUE = "noop"
#: Jobs in one request, and in one statement of the ceiling.
BATCH = 500
#: Input of 200 bytes, for the peers too.
INPUT = '{"n": "' + "x" * 191 + '"}'

"""Values that no call accepts."""

from google.protobuf.duration_pb2 import Duration

BAD_IDS = {
    "empty": "",
    "braces": "{018f4e7a-0000-7000-8000-000000000000}",
    "upper case": "018F4E7A-0000-7000-8000-00000000000A",
    "no hyphens": "018f4e7a000070008000000000000000",
    "urn": "urn:uuid:018f4e7a-0000-7000-8000-000000000000",
    "line break": "018f4e7a-0000-7000-8000-000000000000\n",
    "other digits": "\u06608f4e7a-0000-7000-8000-000000000000",
    "a megabyte": "0" * 1_000_000,
    "SQL": "' OR 1=1; DROP TABLE job; --",
    "NUL": "018f4e7a-0000-7000-8000-00000000000\0",
}
BAD_NAMES = ("", "Q", "-q", "q-", "1q", "q_1", "q\n", "ü", "'; DROP", "q" * 64, "q" * 256)
BAD_DURATIONS = (
    Duration(seconds=-1),
    Duration(nanos=-1),
    Duration(nanos=1_000_000_000),
    Duration(seconds=1, nanos=-1),
    Duration(seconds=2**63 - 1),
    Duration(seconds=-(2**63)),
)

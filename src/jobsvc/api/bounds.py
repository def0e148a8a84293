"""How large the answers of the server may grow."""

#: gRPC clients take messages of 4 MiB unless they are told otherwise.
MAX_ANSWER_BYTES = 4 * 1024 * 1024

#: Of the leases in one answer: the answer has a few bytes besides them.
MAX_LEASES_BYTES = MAX_ANSWER_BYTES - 32

#: Of the items on one page of a list. A larger page holds a single item, such as a queue with two
#: schemas of 1 MiB.
MAX_PAGE_BYTES = 3 * 1024 * 1024

#: Of refused outcomes that are sent with all details; beyond, only their reasons are sent.
MAX_RESULTS_BYTES = 2 * 1024 * 1024

#: Of past attempts of a job that are sent in full; beyond, their errors are sent without metadata
#: and stack traces. With the largest payloads they would not fit into an answer.
MAX_ATTEMPTS_BYTES = 256 * 1024

"""Size limits of responses."""

#: gRPC clients take messages of 4 MiB unless they are told otherwise.
MAX_ANSWER_BYTES = 4 * 1024 * 1024

#: Limit of the leases in one response, which has a few bytes besides them.
MAX_LEASES_BYTES = MAX_ANSWER_BYTES - 32

#: Limit of the results in one response of `Submit`; the last of them may go beyond.
MAX_RESULTS_BYTES = 1024 * 1024

#: The two schemas of a queue.
MAX_SCHEMAS_BYTES = 2 * 1024 * 1024

#: Limit of a page of a list. Only a page with a single item may be larger.
MAX_PAGE_BYTES = 3 * 1024 * 1024

#: Limit of the results of refused outcomes with all details; beyond, only reasons are sent.
MAX_OUTCOME_RESULTS_BYTES = 2 * 1024 * 1024

#: Limit of the past attempts of a job in full; beyond, their errors are sent without metadata and
#: stack traces. With the largest payloads they would not fit into a response.
MAX_ATTEMPTS_BYTES = 256 * 1024

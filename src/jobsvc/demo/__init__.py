"""The parts of `jobsvc demo`: documents, a small web site, the processes, the results."""

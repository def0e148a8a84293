"""What `jobsvc demo` is made of: documents, a small web site, the processes, the results."""

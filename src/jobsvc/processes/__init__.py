"""`jobsvc serve --processes N`: equal processes on one port, and the parent that runs them.

The parent serves no job: it has the port, the embedded PostgreSQL and the HTTP listener. It imports
neither gRPC nor the database's driver.
"""

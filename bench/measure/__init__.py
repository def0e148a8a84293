"""The tools of a measurement: processes, databases, readings of cost and of results."""

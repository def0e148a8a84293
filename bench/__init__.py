"""Measurements of jobsvc on this machine: `make bench`."""

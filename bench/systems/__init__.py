"""The systems under measurement: jobsvc, its bounds (ceiling and echo), and the peers."""

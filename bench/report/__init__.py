"""The report: medians, tables, chart, targets, and files."""

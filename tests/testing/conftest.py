"""The plugin, as it is loaded where jobsvc is installed with its entry point."""

pytest_plugins = ["jobsvc.testing.plugin"]

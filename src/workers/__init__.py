"""The worker processes that this project runs itself, written against `jobsvc.worker` as a user's
would be. Not part of the installed package."""

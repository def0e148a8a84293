"""Many watches of one queue: their memory, and how late changes come."""

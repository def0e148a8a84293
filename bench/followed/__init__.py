"""Many jobs followed over few streams: their memory, and how late their changes come."""

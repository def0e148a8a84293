"""How long a caller waits while another one misbehaves."""

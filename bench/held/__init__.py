"""Speed while somebody else's transaction keeps dead rows from being removed."""

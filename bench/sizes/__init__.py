"""What ended jobs take in the database while they are kept: rows and bytes, by table."""

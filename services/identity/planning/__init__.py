"""What an import would do, computed whole before anything is written, so that a dry run and a run give the same table."""

"""Letters: to a mail server, or as files in a folder."""

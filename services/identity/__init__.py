"""People, the organisation, groups of the directory, sign-in and access tokens."""

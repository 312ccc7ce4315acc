-- feed.policy: the organisation's policy, one row; none while nobody has changed anything.
CREATE TABLE IF NOT EXISTS policies (
    policy_id TEXT PRIMARY KEY,
    -- A serialized watercooler.feed.v1.PolicyChanged without who, why and when.
    card      BYTEA NOT NULL,
    version   INTEGER NOT NULL
);

-- The words a community watches for, separated by line breaks.
CREATE TABLE IF NOT EXISTS watches (
    community_id TEXT PRIMARY KEY,
    words        TEXT NOT NULL,
    version      INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS acceptances (
    person_id          TEXT PRIMARY KEY,
    guidelines_version INTEGER NOT NULL,
    accept_time        BIGINT NOT NULL
);

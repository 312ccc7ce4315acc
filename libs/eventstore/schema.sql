-- The log: at once store, outbox and source of every read model.
CREATE TABLE IF NOT EXISTS events (
    position       BIGINT PRIMARY KEY,
    id             TEXT NOT NULL UNIQUE,
    stream         TEXT NOT NULL,
    version        INTEGER NOT NULL,
    type           TEXT NOT NULL,
    data           BYTEA NOT NULL,
    -- The personal fields, encrypted with the subject's key; NULL when there are none.
    sealed         BYTEA,
    actor_id       TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    causation_id   TEXT NOT NULL,
    traceparent    TEXT NOT NULL,
    record_time    BIGINT NOT NULL,
    UNIQUE (stream, version)
);

-- The first answer to each request id, so that a repeated command gets it again (AIP-155).
CREATE TABLE IF NOT EXISTS requests (
    request_key TEXT PRIMARY KEY,
    stream      TEXT NOT NULL,
    version     INTEGER NOT NULL,
    record_time BIGINT NOT NULL
);

-- A key per person: without it the sealed part of that person's events cannot be read by anyone.
CREATE TABLE IF NOT EXISTS person_keys (
    person_id   TEXT PRIMARY KEY,
    secret      BYTEA NOT NULL,
    create_time BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS checkpoints (
    subscription TEXT NOT NULL,
    source       TEXT NOT NULL,
    position     BIGINT NOT NULL,
    PRIMARY KEY (subscription, source)
);

-- Streams that a subscription could not take after bounded retries; the others go on.
CREATE TABLE IF NOT EXISTS parked (
    subscription TEXT NOT NULL,
    source       TEXT NOT NULL,
    stream       TEXT NOT NULL,
    position     BIGINT NOT NULL,
    reason       TEXT NOT NULL,
    park_time    BIGINT NOT NULL,
    -- 1 when an operator asked for another try.
    retry        INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (subscription, source, stream)
);

-- What an operator asked the running network to build again, and how far that is (for what is no table, such as a search index).
CREATE TABLE IF NOT EXISTS rebuild_requests (
    part         TEXT PRIMARY KEY,
    request_time BIGINT NOT NULL,
    done         BIGINT NOT NULL DEFAULT 0,
    total        BIGINT NOT NULL DEFAULT 0,
    finish_time  BIGINT NOT NULL DEFAULT 0,
    problem      TEXT NOT NULL DEFAULT ''
);

-- Who does what only one process at a time may do, where several serve one database; times by the server's clock.
CREATE TABLE IF NOT EXISTS leases (
    name        TEXT PRIMARY KEY,
    holder      TEXT NOT NULL,
    expire_time BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS schema_versions (
    part    TEXT PRIMARY KEY,
    version INTEGER NOT NULL
);

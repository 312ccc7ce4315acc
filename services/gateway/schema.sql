-- Who is signed in where. Only the SHA-256 of a cookie's secret is kept.
CREATE TABLE IF NOT EXISTS sessions (
    session_id TEXT PRIMARY KEY,
    secret_hash TEXT NOT NULL UNIQUE,
    person_id TEXT NOT NULL,
    create_time BIGINT NOT NULL,
    seen_time BIGINT NOT NULL,
    expire_time BIGINT NOT NULL,
    user_agent TEXT NOT NULL,
    address TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS sessions_person ON sessions (person_id, session_id);
CREATE INDEX IF NOT EXISTS sessions_expire ON sessions (expire_time);

-- Who opened the network on which day, of the last eight days: counted, never shown. No read model, since it follows from no event.
CREATE TABLE IF NOT EXISTS visits (
    -- Days since 1970, UTC.
    day       INTEGER NOT NULL,
    person_id TEXT NOT NULL,
    PRIMARY KEY (day, person_id)
);
CREATE INDEX IF NOT EXISTS visits_person ON visits (person_id);

-- What a request with an Idempotency-Key was answered; status 0 while it is being answered.
CREATE TABLE IF NOT EXISTS answered_requests (
    request_key TEXT PRIMARY KEY,
    person_id TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    status INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    headers TEXT NOT NULL,
    body BLOB NOT NULL,
    create_time BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS answered_requests_time ON answered_requests (create_time);
CREATE INDEX IF NOT EXISTS answered_requests_person ON answered_requests (person_id);

-- The still small form of an image; made again where it is missing.
CREATE TABLE IF NOT EXISTS thumbnails (
    blob_id TEXT PRIMARY KEY,
    thumbnail_id TEXT NOT NULL,
    create_time BIGINT NOT NULL
);

-- Pictures that clients of Mastodon's API have uploaded and not yet posted, for a day: what they show and how large they are.
CREATE TABLE IF NOT EXISTS uploads (
    person_id TEXT NOT NULL,
    blob_id TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    description TEXT NOT NULL,
    create_time BIGINT NOT NULL,
    PRIMARY KEY (person_id, blob_id)
);
CREATE INDEX IF NOT EXISTS uploads_time ON uploads (create_time);

-- Notifications, by position, that those clients are not given again: single ones, and with `cleared` all up to that position.
CREATE TABLE IF NOT EXISTS dismissed (
    person_id TEXT NOT NULL,
    position BIGINT NOT NULL,
    cleared INTEGER NOT NULL,
    create_time BIGINT NOT NULL,
    PRIMARY KEY (person_id, position)
);

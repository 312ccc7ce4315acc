-- feed.retention: rules, holds and exports as they are now.
CREATE TABLE IF NOT EXISTS rules (
    rule_id         TEXT PRIMARY KEY,
    name            TEXT NOT NULL,
    audience        INTEGER NOT NULL,
    audience_id     TEXT NOT NULL,
    age_days        INTEGER NOT NULL,
    unit            INTEGER NOT NULL,
    reason          TEXT NOT NULL,
    enabled         INTEGER NOT NULL,
    draft_time      BIGINT NOT NULL,
    rehearse_time   BIGINT NOT NULL,
    rehearsed_count BIGINT NOT NULL,
    version         INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS rule_runs (
    rule_id         TEXT NOT NULL,
    position        BIGINT NOT NULL,
    deleted_count   BIGINT NOT NULL,
    protected_count BIGINT NOT NULL,
    start_time      BIGINT NOT NULL,
    end_time        BIGINT NOT NULL,
    partial         INTEGER NOT NULL,
    PRIMARY KEY (rule_id, position)
);

CREATE TABLE IF NOT EXISTS holds (
    hold_id     TEXT PRIMARY KEY,
    subject     INTEGER NOT NULL,
    subject_id  TEXT NOT NULL,
    -- Posts with an id from the first up to, not including, the second are held.
    from_key    TEXT NOT NULL,
    until_key   TEXT NOT NULL,
    -- The same as times; 0 where there is no end on that side.
    from_time   BIGINT NOT NULL,
    until_time  BIGINT NOT NULL,
    reason      TEXT NOT NULL,
    placer_id   TEXT NOT NULL,
    place_time  BIGINT NOT NULL,
    active      INTEGER NOT NULL,
    lift_time   BIGINT NOT NULL,
    lift_reason TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS holds_by_subject ON holds (active, subject_id);

CREATE TABLE IF NOT EXISTS exports (
    export_id    TEXT PRIMARY KEY,
    subject      INTEGER NOT NULL,
    subject_id   TEXT NOT NULL,
    requester_id TEXT NOT NULL,
    reason       TEXT NOT NULL,
    -- watercooler.feed.v1.ExportState.
    state        INTEGER NOT NULL,
    request_time BIGINT NOT NULL,
    blob_id      TEXT NOT NULL,
    size_bytes   BIGINT NOT NULL,
    post_count   BIGINT NOT NULL,
    finish_time  BIGINT NOT NULL,
    expire_time  BIGINT NOT NULL,
    failure      TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS exports_by_requester ON exports (requester_id, export_id);
CREATE INDEX IF NOT EXISTS exports_by_state ON exports (state, export_id);

-- How many posts an export has written so far. No read model: a rebuild leaves it as it is.
CREATE TABLE IF NOT EXISTS export_progress (
    export_id  TEXT PRIMARY KEY,
    done_count BIGINT NOT NULL
);

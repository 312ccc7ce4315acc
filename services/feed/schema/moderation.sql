-- feed.moderation: cases for the queue; what was said in them is read from their streams.
CREATE TABLE IF NOT EXISTS cases (
    case_id           TEXT PRIMARY KEY,
    subject           INTEGER NOT NULL,
    subject_id        TEXT NOT NULL,
    author_id         TEXT NOT NULL,
    community_id      TEXT NOT NULL,
    to_administrators INTEGER NOT NULL,
    -- watercooler.feed.v1.CaseState.
    state             INTEGER NOT NULL,
    assignee_id       TEXT NOT NULL,
    report_count      INTEGER NOT NULL,
    -- Reports that no decision has answered yet.
    fresh_count       INTEGER NOT NULL,
    -- Numbers of watercooler.feed.v1.ReportCategory, separated by spaces.
    categories        TEXT NOT NULL,
    first_time        BIGINT NOT NULL,
    last_time         BIGINT NOT NULL,
    outcome           INTEGER NOT NULL,
    -- The newest decision was taken back by an appeal.
    upheld            INTEGER NOT NULL,
    decide_time       BIGINT NOT NULL,
    -- Position of the newest report or appeal.
    position          BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS cases_by_state ON cases (state, position);
CREATE INDEX IF NOT EXISTS cases_by_subject ON cases (subject_id, state);

-- Who is told of a case: those who reported, and whose matter it is once it is decided.
CREATE TABLE IF NOT EXISTS case_parties (
    case_id   TEXT NOT NULL,
    person_id TEXT NOT NULL,
    author    INTEGER NOT NULL,
    position  BIGINT NOT NULL,
    PRIMARY KEY (case_id, person_id, author)
);
CREATE INDEX IF NOT EXISTS case_parties_by_person ON case_parties (person_id, position);

-- The case that each report of a person went into.
CREATE TABLE IF NOT EXISTS filed_reports (
    report_id   TEXT NOT NULL,
    case_id     TEXT NOT NULL,
    reporter_id TEXT NOT NULL,
    position    BIGINT NOT NULL,
    PRIMARY KEY (report_id, case_id)
);
CREATE INDEX IF NOT EXISTS filed_reports_by_reporter ON filed_reports (reporter_id, position);

CREATE TABLE IF NOT EXISTS silences (
    community_id TEXT NOT NULL,
    person_id    TEXT NOT NULL,
    end_time     BIGINT NOT NULL,
    PRIMARY KEY (community_id, person_id)
);

-- feed.audit: every decision of those who govern the network, in its order.
CREATE TABLE IF NOT EXISTS audit (
    position   BIGINT PRIMARY KEY,
    audit_time BIGINT NOT NULL,
    actor_id   TEXT NOT NULL,
    action     TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    reason     TEXT NOT NULL
);

-- feed.administrators: those who are here, so that an appeal goes to somebody else than the first decider where there is one.
CREATE TABLE IF NOT EXISTS administrators (
    person_id TEXT PRIMARY KEY,
    here      INTEGER NOT NULL
);

-- feed.posts: deleted posts that are put aside whole, as they stood in `posts`.
CREATE TABLE IF NOT EXISTS kept_posts (
    post_id TEXT PRIMARY KEY,
    card    BYTEA NOT NULL
);

-- feed.announcements: an announcement has the id of its post.
CREATE TABLE IF NOT EXISTS announcements (
    announcement_id    TEXT PRIMARY KEY,
    author_id          TEXT NOT NULL,
    -- As in posts: everyone, community, group or chart, and whose.
    scope              TEXT NOT NULL,
    scope_id           TEXT NOT NULL,
    urgency            INTEGER NOT NULL,
    -- 0: none.
    deadline_time      BIGINT NOT NULL,
    -- Ascending, separated by spaces.
    remind_times       TEXT NOT NULL,
    next_reminder_time BIGINT NOT NULL,
    reminder_count     INTEGER NOT NULL,
    prepare_time       BIGINT NOT NULL,
    -- 0: the audience is still being frozen.
    publish_time       BIGINT NOT NULL,
    version            INTEGER NOT NULL,
    -- The version of the last correction; 1 without one.
    right_since        INTEGER NOT NULL,
    audience_count     INTEGER NOT NULL,
    audience_digest    TEXT NOT NULL,
    withdrawn          INTEGER NOT NULL,
    erased             INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS announcements_by_author ON announcements (author_id, announcement_id);
CREATE INDEX IF NOT EXISTS announcements_by_reminder ON announcements (next_reminder_time) WHERE next_reminder_time > 0;

CREATE TABLE IF NOT EXISTS announcement_versions (
    announcement_id TEXT NOT NULL,
    version         INTEGER NOT NULL,
    title           TEXT NOT NULL,
    body            TEXT NOT NULL,
    language        TEXT NOT NULL,
    what_was_wrong  TEXT NOT NULL,
    correction      INTEGER NOT NULL,
    editor_id       TEXT NOT NULL,
    version_time    BIGINT NOT NULL,
    text_digest     TEXT NOT NULL,
    PRIMARY KEY (announcement_id, version)
);

-- Who is counted, and who else saw it; each fact with its latest version and its first time, 0 for none.
CREATE TABLE IF NOT EXISTS receipts (
    announcement_id TEXT NOT NULL,
    person_id       TEXT NOT NULL,
    -- In the frozen audience.
    counted         INTEGER NOT NULL,
    shown           INTEGER NOT NULL,
    opened          INTEGER NOT NULL,
    confirmed       INTEGER NOT NULL,
    dismissed       INTEGER NOT NULL,
    -- The first version that the person saw in whatever way.
    first_version   INTEGER NOT NULL,
    shown_time      BIGINT NOT NULL,
    opened_time     BIGINT NOT NULL,
    confirmed_time  BIGINT NOT NULL,
    PRIMARY KEY (announcement_id, person_id)
);
CREATE INDEX IF NOT EXISTS receipts_by_person ON receipts (person_id, announcement_id);

-- How many people, by the latest version of each fact (shown, opened, confirmed: of the counted), and how many of all who saw anything
-- by the first version they saw and the latest one they opened or confirmed (informed).
CREATE TABLE IF NOT EXISTS reach_tallies (
    announcement_id TEXT NOT NULL,
    fact            TEXT NOT NULL,
    seen            INTEGER NOT NULL,
    version         INTEGER NOT NULL,
    people          INTEGER NOT NULL,
    PRIMARY KEY (announcement_id, fact, seen, version)
);

-- Every fact of the counted, in the order of the log: for the proof of reach.
CREATE TABLE IF NOT EXISTS reach_facts (
    announcement_id TEXT NOT NULL,
    position        BIGINT NOT NULL,
    person_id       TEXT NOT NULL,
    -- A watercooler.feed.v1.ReachFact.
    fact            INTEGER NOT NULL,
    version         INTEGER NOT NULL,
    fact_time       BIGINT NOT NULL,
    PRIMARY KEY (announcement_id, position)
);

-- feed.chart: who stands above whom in the organisation chart, directly or through others; everybody stands above themselves.
CREATE TABLE IF NOT EXISTS chart_lines (
    manager_id TEXT NOT NULL,
    person_id  TEXT NOT NULL,
    PRIMARY KEY (manager_id, person_id)
);
CREATE INDEX IF NOT EXISTS chart_lines_by_person ON chart_lines (person_id, manager_id);

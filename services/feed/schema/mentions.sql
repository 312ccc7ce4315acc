-- feed.group_handles: how groups of the directory are called in texts.
CREATE TABLE IF NOT EXISTS group_handles (
    group_id TEXT PRIMARY KEY,
    handle   TEXT NOT NULL UNIQUE,
    name     TEXT NOT NULL
);

-- feed.drafts: those that are neither published nor thrown away.
CREATE TABLE IF NOT EXISTS drafts (
    draft_id     TEXT PRIMARY KEY,
    author_id    TEXT NOT NULL,
    -- A serialized watercooler.feed.v1.DraftContent.
    content      BYTEA NOT NULL,
    save_time    BIGINT NOT NULL,
    -- 0: not scheduled.
    publish_time BIGINT NOT NULL,
    failure      TEXT NOT NULL,
    version      INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS drafts_by_author ON drafts (author_id, draft_id);
CREATE INDEX IF NOT EXISTS drafts_by_time ON drafts (publish_time) WHERE publish_time > 0;

-- What the index consumer needs to write a whole document when an event changes a part of it. Not a projection's: it follows the
-- index's own checkpoint and is filled again with it.
CREATE TABLE IF NOT EXISTS documents (
    document_id TEXT PRIMARY KEY,
    author_id   TEXT NOT NULL,
    -- The document as JSON, without the text of posts.
    content     TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS documents_author ON documents (author_id);

-- Who is who, for the names in results (from identity).
CREATE TABLE IF NOT EXISTS people (
    person_id     TEXT PRIMARY KEY,
    display_name  TEXT NOT NULL,
    photo_blob_id TEXT NOT NULL,
    state         TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS group_members (
    person_id TEXT NOT NULL,
    group_id  TEXT NOT NULL,
    PRIMARY KEY (person_id, group_id)
);

-- Communities and who is in them, and who follows whom (from feed): what a reader may find.
CREATE TABLE IF NOT EXISTS communities (
    community_id TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    open         INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS communities_open ON communities (open, community_id);

CREATE TABLE IF NOT EXISTS members (
    person_id    TEXT NOT NULL,
    community_id TEXT NOT NULL,
    PRIMARY KEY (person_id, community_id)
);

CREATE TABLE IF NOT EXISTS followed_people (
    follower_id TEXT NOT NULL,
    person_id   TEXT NOT NULL,
    PRIMARY KEY (follower_id, person_id)
);

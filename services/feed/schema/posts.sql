-- feed.posts, beside the table of posts: what few posts have.

-- Whose repost of what is which post: one a person and original. Gone with the repost or the original.
CREATE TABLE IF NOT EXISTS reposts (
    original_id TEXT NOT NULL,
    author_id   TEXT NOT NULL,
    post_id     TEXT NOT NULL,
    PRIMARY KEY (original_id, author_id)
);
CREATE UNIQUE INDEX IF NOT EXISTS reposts_by_post ON reposts (post_id);

CREATE TABLE IF NOT EXISTS quotes (
    quoted_id TEXT NOT NULL,
    post_id   TEXT NOT NULL,
    PRIMARY KEY (quoted_id, post_id)
);
CREATE UNIQUE INDEX IF NOT EXISTS quotes_by_post ON quotes (post_id);

-- A vote each, by the id of its stream: who holds the ids of a post and a person finds theirs, in an anonymous poll with its secret only.
CREATE TABLE IF NOT EXISTS ballots (
    ballot_id TEXT PRIMARY KEY,
    post_id   TEXT NOT NULL,
    -- Indices of options, separated by spaces.
    choices   TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS ballots_by_post ON ballots (post_id);

-- Polls whose closing has not been recorded yet.
CREATE TABLE IF NOT EXISTS open_polls (
    post_id    TEXT PRIMARY KEY,
    close_time BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS open_polls_by_time ON open_polls (close_time);

-- What stands at the head of a page: a person's or a community's, by its id.
CREATE TABLE IF NOT EXISTS pins (
    place    TEXT NOT NULL,
    post_id  TEXT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (place, post_id)
);
CREATE INDEX IF NOT EXISTS pins_by_post ON pins (post_id);

CREATE TABLE IF NOT EXISTS preview_images (
    post_id TEXT PRIMARY KEY,
    blob_id TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS preview_images_by_blob ON preview_images (blob_id);

-- feed.responses: threads that a person is told nothing more of.
CREATE TABLE IF NOT EXISTS muted_threads (
    person_id TEXT NOT NULL,
    thread_id TEXT NOT NULL,
    PRIMARY KEY (person_id, thread_id)
);
CREATE INDEX IF NOT EXISTS reactions_by_person ON reactions (person_id, post_id, position);
CREATE INDEX IF NOT EXISTS thread_people_by_person ON thread_people (person_id, thread_id);

-- feed.notifications: who is told when a poll closes, and whose repost stands for which original.
CREATE TABLE IF NOT EXISTS notification_voters (
    post_id   TEXT NOT NULL,
    person_id TEXT NOT NULL,
    PRIMARY KEY (post_id, person_id)
);

CREATE TABLE IF NOT EXISTS notification_reposts (
    post_id     TEXT PRIMARY KEY,
    original_id TEXT NOT NULL,
    author_id   TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS notification_reposts_by_original ON notification_reposts (original_id);

-- What finds a person's vote in an anonymous poll while it is open: random, one a poll, deleted when it closes, so that from then on nobody
-- can tell whose vote is whose. No read model: a rebuild leaves it as it is.
CREATE TABLE IF NOT EXISTS poll_secrets (
    post_id TEXT PRIMARY KEY,
    secret  TEXT NOT NULL
);

-- Links that are still to be looked up. No read model: a rebuild leaves it as it is.
CREATE TABLE IF NOT EXISTS preview_jobs (
    post_id  TEXT PRIMARY KEY,
    version  INTEGER NOT NULL,
    url      TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due_time BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS preview_jobs_by_time ON preview_jobs (due_time);

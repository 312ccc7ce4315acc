-- Read models of the feed. Times are microseconds since 1970 (UTC), booleans 0 or 1, enumerations the numbers of the protos.

-- feed.posts: every post with what its readers are shown, as one serialized watercooler.feed.v1.Post (`card`) without author and viewer.
CREATE TABLE IF NOT EXISTS posts (
    post_id            TEXT PRIMARY KEY,
    author_id          TEXT NOT NULL,
    -- The first post of the thread; its own id for a new thread.
    thread_id          TEXT NOT NULL,
    parent_id          TEXT NOT NULL,
    -- everyone, followers, group, community or people, and whose.
    scope              TEXT NOT NULL,
    scope_id           TEXT NOT NULL,
    card               BYTEA NOT NULL,
    -- 1 when deleted or erased: it stands in threads only.
    hidden             INTEGER NOT NULL,
    pictures           INTEGER NOT NULL,
    reply_count        INTEGER NOT NULL,
    confirmation_count INTEGER NOT NULL,
    -- Of the text: 1 when published, one more for each edit and the deletion.
    version            INTEGER NOT NULL,
    position           BIGINT NOT NULL,
    -- The original, where it is a repost; else empty.
    reposted_id        TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS posts_by_author ON posts (author_id, post_id);
CREATE INDEX IF NOT EXISTS posts_by_thread ON posts (thread_id, post_id);

-- The people a thread is for, where it names them; the author is one of them.
CREATE TABLE IF NOT EXISTS thread_people (
    thread_id TEXT NOT NULL,
    person_id TEXT NOT NULL,
    PRIMARY KEY (thread_id, person_id)
);

CREATE TABLE IF NOT EXISTS post_tags (
    tag     TEXT NOT NULL,
    post_id TEXT NOT NULL,
    PRIMARY KEY (tag, post_id)
);
CREATE INDEX IF NOT EXISTS post_tags_by_post ON post_tags (post_id, tag);

CREATE TABLE IF NOT EXISTS revisions (
    post_id     TEXT NOT NULL,
    number      INTEGER NOT NULL,
    body        TEXT NOT NULL,
    -- A serialized Post that holds the attachments only.
    attachments BYTEA NOT NULL,
    revise_time BIGINT NOT NULL,
    PRIMARY KEY (post_id, number)
);

CREATE TABLE IF NOT EXISTS imported_posts (
    external_id TEXT PRIMARY KEY,
    post_id     TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS community_activity (
    community_id   TEXT PRIMARY KEY,
    post_count     INTEGER NOT NULL,
    last_post_time BIGINT NOT NULL
);

-- feed.responses: what a person did with a post, in one row for the person's own view ...
CREATE TABLE IF NOT EXISTS responses (
    person_id     TEXT NOT NULL,
    post_id       TEXT NOT NULL,
    -- Separated by line breaks.
    emoji         TEXT NOT NULL,
    -- Position of the save; 0 when not saved.
    save_position BIGINT NOT NULL,
    confirmed     INTEGER NOT NULL,
    PRIMARY KEY (person_id, post_id)
);
CREATE INDEX IF NOT EXISTS responses_by_save ON responses (person_id, save_position);
-- Few posts are confirmed at all, so this stays small.
CREATE INDEX IF NOT EXISTS responses_confirmed ON responses (post_id, person_id) WHERE confirmed = 1;

-- ... and one row a reaction for everybody's.
CREATE TABLE IF NOT EXISTS reactions (
    post_id    TEXT NOT NULL,
    position   BIGINT NOT NULL,
    emoji      TEXT NOT NULL,
    person_id  TEXT NOT NULL,
    react_time BIGINT NOT NULL,
    PRIMARY KEY (post_id, person_id, emoji)
);
CREATE INDEX IF NOT EXISTS reactions_by_post ON reactions (post_id, position);

-- feed.follows
CREATE TABLE IF NOT EXISTS follows (
    follower_id TEXT NOT NULL,
    person_id   TEXT NOT NULL,
    position    BIGINT NOT NULL,
    PRIMARY KEY (follower_id, person_id)
);
CREATE INDEX IF NOT EXISTS follows_by_follower ON follows (follower_id, position);
CREATE INDEX IF NOT EXISTS follows_by_person ON follows (person_id, position);

CREATE TABLE IF NOT EXISTS follow_counts (
    person_id       TEXT PRIMARY KEY,
    follower_count  INTEGER NOT NULL,
    following_count INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS followed_tags (
    follower_id TEXT NOT NULL,
    tag         TEXT NOT NULL,
    PRIMARY KEY (follower_id, tag)
);

CREATE TABLE IF NOT EXISTS tag_followers (
    tag            TEXT PRIMARY KEY,
    follower_count INTEGER NOT NULL
);

-- feed.communities
CREATE TABLE IF NOT EXISTS communities (
    community_id TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    -- The name case-folded, for the list's order and for its query.
    sort_name    TEXT NOT NULL,
    handle       TEXT NOT NULL UNIQUE,
    description  TEXT NOT NULL,
    rules        TEXT NOT NULL,
    kind         INTEGER NOT NULL,
    -- Separated by spaces.
    tags         TEXT NOT NULL,
    archived     INTEGER NOT NULL,
    create_time  BIGINT NOT NULL,
    version      INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS communities_by_name ON communities (sort_name, community_id);

CREATE TABLE IF NOT EXISTS imported_communities (
    external_id  TEXT PRIMARY KEY,
    community_id TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS members (
    community_id TEXT NOT NULL,
    person_id    TEXT NOT NULL,
    role         INTEGER NOT NULL,
    join_time    BIGINT NOT NULL,
    position     BIGINT NOT NULL,
    PRIMARY KEY (community_id, person_id)
);
CREATE INDEX IF NOT EXISTS members_by_person ON members (person_id, community_id);
CREATE INDEX IF NOT EXISTS members_by_position ON members (community_id, position);

CREATE TABLE IF NOT EXISTS member_counts (
    community_id TEXT PRIMARY KEY,
    member_count INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS join_requests (
    community_id TEXT NOT NULL,
    person_id    TEXT NOT NULL,
    request_time BIGINT NOT NULL,
    position     BIGINT NOT NULL,
    PRIMARY KEY (community_id, person_id)
);
CREATE INDEX IF NOT EXISTS join_requests_by_position ON join_requests (community_id, position);

-- feed.standings: a person's department, and whether what they write to many is an announcement (communications, leaders). Counted, never shown.
CREATE TABLE IF NOT EXISTS standings (
    person_id  TEXT PRIMARY KEY,
    department TEXT NOT NULL,
    announces  INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS standings_announcing ON standings (person_id) WHERE announces > 0;

-- feed.bot_accounts: accounts that are nobody's, left out where people are counted.
CREATE TABLE IF NOT EXISTS bot_accounts (
    person_id TEXT PRIMARY KEY
);

-- feed.timelines: docs/decisions/0001-timelines.md says why. A source is `person:<id>`, `community:<id>`, `tag:<tag>`, `named:<id>` or `company`.
CREATE TABLE IF NOT EXISTS source_entries (
    source  TEXT NOT NULL,
    post_id TEXT NOT NULL,
    PRIMARY KEY (source, post_id)
);

-- The sources of each post in a timeline, separated by spaces.
CREATE TABLE IF NOT EXISTS listed_posts (
    post_id TEXT PRIMARY KEY,
    sources TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS sources (
    source           TEXT PRIMARY KEY,
    subscriber_count INTEGER NOT NULL,
    -- 1 when too many subscribe to write each of them an entry.
    broad            INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS subscriptions (
    source    TEXT NOT NULL,
    reader_id TEXT NOT NULL,
    broad     INTEGER NOT NULL,
    PRIMARY KEY (source, reader_id)
);
CREATE INDEX IF NOT EXISTS subscriptions_by_reader ON subscriptions (reader_id, broad, source);

-- Entries stand for everything from the floor on that comes from sources that are not broad; what is older is merged when it is read.
CREATE TABLE IF NOT EXISTS home_floors (
    reader_id TEXT PRIMARY KEY,
    floor     TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS home_entries (
    reader_id TEXT NOT NULL,
    post_id   TEXT NOT NULL,
    source    TEXT NOT NULL,
    PRIMARY KEY (reader_id, post_id, source)
);

-- feed.notifications
CREATE TABLE IF NOT EXISTS notifications (
    recipient_id TEXT NOT NULL,
    position     BIGINT NOT NULL,
    kind         INTEGER NOT NULL,
    -- What rows are grouped by: the post answered or reacted to, the community, or the day of a follow.
    subject      TEXT NOT NULL,
    actor_id     TEXT NOT NULL,
    post_id      TEXT NOT NULL,
    community_id TEXT NOT NULL,
    emoji        TEXT NOT NULL,
    notify_time  BIGINT NOT NULL,
    PRIMARY KEY (recipient_id, position, kind)
);
CREATE INDEX IF NOT EXISTS notifications_by_post ON notifications (post_id);

CREATE TABLE IF NOT EXISTS notification_authors (
    post_id   TEXT PRIMARY KEY,
    author_id TEXT NOT NULL,
    -- Who has been told of it already, so that an edit tells only those newly mentioned; separated by spaces.
    told      TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS notification_moderators (
    community_id TEXT NOT NULL,
    person_id    TEXT NOT NULL,
    PRIMARY KEY (community_id, person_id)
);

CREATE TABLE IF NOT EXISTS read_positions (
    person_id     TEXT PRIMARY KEY,
    read_position BIGINT NOT NULL
);

-- feed.activity
CREATE TABLE IF NOT EXISTS active_days (
    -- Days since 1970, UTC.
    day       INTEGER NOT NULL,
    person_id TEXT NOT NULL,
    PRIMARY KEY (day, person_id)
);

CREATE TABLE IF NOT EXISTS totals (
    name  TEXT PRIMARY KEY,
    total BIGINT NOT NULL
);

-- feed.people: what identity says of people, as far as the feed shows or needs it.
CREATE TABLE IF NOT EXISTS people (
    person_id       TEXT PRIMARY KEY,
    display_name    TEXT NOT NULL,
    handle          TEXT NOT NULL,
    email           TEXT NOT NULL,
    employee_number TEXT NOT NULL,
    title           TEXT NOT NULL,
    photo_blob_id   TEXT NOT NULL,
    employee        INTEGER NOT NULL,
    guest           INTEGER NOT NULL,
    departed        INTEGER NOT NULL,
    erased          INTEGER NOT NULL,
    -- The same as a serialized watercooler.feed.v1.Author.
    card            BYTEA NOT NULL
);
CREATE INDEX IF NOT EXISTS people_by_handle ON people (handle);
CREATE INDEX IF NOT EXISTS people_by_email ON people (email);
CREATE INDEX IF NOT EXISTS people_by_employee_number ON people (employee_number);

CREATE TABLE IF NOT EXISTS external_keys (
    external_key TEXT PRIMARY KEY,
    -- The key without its source.
    bare_key     TEXT NOT NULL,
    person_id    TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS external_keys_by_bare_key ON external_keys (bare_key);

-- feed.groups
CREATE TABLE IF NOT EXISTS directory_groups (
    group_id TEXT PRIMARY KEY,
    name     TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS group_members (
    group_id  TEXT NOT NULL,
    person_id TEXT NOT NULL,
    PRIMARY KEY (group_id, person_id)
);

-- Files that are to be deleted as soon as nothing shows them. No read model: a rebuild leaves it as it is.
CREATE TABLE IF NOT EXISTS discarded_files (
    blob_id TEXT PRIMARY KEY
);

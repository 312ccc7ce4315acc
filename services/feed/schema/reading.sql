-- feed.bonds: what one person keeps from another. A row exists while something holds.
CREATE TABLE IF NOT EXISTS bonds (
    person_id      TEXT NOT NULL,
    other_id       TEXT NOT NULL,
    -- Positions of the mute and of the block, which page the lists of them; 0 when there is none.
    mute_position  BIGINT NOT NULL,
    -- The mute takes their notifications too.
    silenced       INTEGER NOT NULL,
    -- 0: the mute has no end. What is past counts no longer, which is decided when it is read.
    expire_time    BIGINT NOT NULL,
    block_position BIGINT NOT NULL,
    note           TEXT NOT NULL,
    PRIMARY KEY (person_id, other_id)
);
CREATE INDEX IF NOT EXISTS bonds_by_other ON bonds (other_id, person_id);

-- feed.lists
CREATE TABLE IF NOT EXISTS people_lists (
    list_id   TEXT PRIMARY KEY,
    owner_id  TEXT NOT NULL,
    title     TEXT NOT NULL,
    exclusive INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS people_lists_by_owner ON people_lists (owner_id, list_id);

CREATE TABLE IF NOT EXISTS list_people (
    list_id   TEXT NOT NULL,
    person_id TEXT NOT NULL,
    position  BIGINT NOT NULL,
    PRIMARY KEY (list_id, person_id)
);
CREATE INDEX IF NOT EXISTS list_people_by_person ON list_people (person_id, list_id);

-- feed.filters: `filter` is a serialized watercooler.feed.v1.Filter.
CREATE TABLE IF NOT EXISTS reading_filters (
    filter_id TEXT PRIMARY KEY,
    owner_id  TEXT NOT NULL,
    filter    BYTEA NOT NULL
);
CREATE INDEX IF NOT EXISTS reading_filters_by_owner ON reading_filters (owner_id, filter_id);

-- feed.markers: `version` counts the moves.
CREATE TABLE IF NOT EXISTS reading_markers (
    person_id    TEXT NOT NULL,
    timeline     TEXT NOT NULL,
    last_read_id TEXT NOT NULL,
    version      INTEGER NOT NULL,
    update_time  BIGINT NOT NULL,
    PRIMARY KEY (person_id, timeline)
);

-- feed.emoji
CREATE TABLE IF NOT EXISTS custom_emoji (
    shortcode TEXT PRIMARY KEY,
    blob_id   TEXT NOT NULL,
    category  TEXT NOT NULL
);

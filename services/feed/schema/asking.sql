-- feed.questions: posts that ask. Whether they and their answers are (still) there is said by `posts`.
CREATE TABLE IF NOT EXISTS questions (
    post_id    TEXT PRIMARY KEY,
    author_id  TEXT NOT NULL,
    scope      TEXT NOT NULL,
    scope_id   TEXT NOT NULL,
    ask_time   BIGINT NOT NULL,
    -- The reply marked best; empty for none.
    best_id    TEXT NOT NULL,
    -- When it was brought to likely experts; 0 for not yet.
    route_time BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS questions_waiting ON questions (ask_time) WHERE route_time = 0;
CREATE INDEX IF NOT EXISTS questions_by_scope ON questions (scope, scope_id, post_id);

CREATE TABLE IF NOT EXISTS question_answers (
    answer_id   TEXT PRIMARY KEY,
    question_id TEXT NOT NULL,
    author_id   TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS question_answers_by_question ON question_answers (question_id, answer_id);

CREATE TABLE IF NOT EXISTS question_routes (
    question_id TEXT NOT NULL,
    person_id   TEXT NOT NULL,
    -- A serialized watercooler.feed.v1.RoutedPerson.
    reasons     BYTEA NOT NULL,
    number      INTEGER NOT NULL,
    route_time  BIGINT NOT NULL,
    PRIMARY KEY (question_id, person_id)
);
CREATE INDEX IF NOT EXISTS question_routes_by_person ON question_routes (person_id, route_time);

CREATE TABLE IF NOT EXISTS experts (
    community_id TEXT NOT NULL,
    person_id    TEXT NOT NULL,
    position     BIGINT NOT NULL,
    PRIMARY KEY (community_id, person_id)
);

-- feed.praise: who was thanked by which post.
CREATE TABLE IF NOT EXISTS praises (
    post_id   TEXT NOT NULL,
    person_id TEXT NOT NULL,
    value     TEXT NOT NULL,
    PRIMARY KEY (post_id, person_id)
);
CREATE INDEX IF NOT EXISTS praises_by_person ON praises (person_id, post_id);
CREATE INDEX IF NOT EXISTS praises_by_value ON praises (value, person_id);

-- feed.enquiries: questions to leaders.
CREATE TABLE IF NOT EXISTS enquiries (
    enquiry_id  TEXT PRIMARY KEY,
    -- Empty where it was asked anonymously.
    asker_id    TEXT NOT NULL,
    anonymous   INTEGER NOT NULL,
    body        TEXT NOT NULL,
    -- Separated by spaces; empty: all leaders.
    addressees  TEXT NOT NULL,
    ask_time    BIGINT NOT NULL,
    state       INTEGER NOT NULL,
    vote_count  INTEGER NOT NULL,
    delegate_id TEXT NOT NULL,
    -- Of the first answer; 0 while there is none.
    answer_time BIGINT NOT NULL,
    version     INTEGER NOT NULL,
    erased      INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS enquiries_by_time ON enquiries (ask_time, enquiry_id);
CREATE INDEX IF NOT EXISTS enquiries_by_votes ON enquiries (vote_count, enquiry_id);

CREATE TABLE IF NOT EXISTS enquiry_steps (
    enquiry_id TEXT NOT NULL,
    version    INTEGER NOT NULL,
    state      INTEGER NOT NULL,
    person_id  TEXT NOT NULL,
    text       TEXT NOT NULL,
    step_time  BIGINT NOT NULL,
    erased     INTEGER NOT NULL,
    PRIMARY KEY (enquiry_id, version)
);
CREATE INDEX IF NOT EXISTS enquiry_steps_by_person ON enquiry_steps (person_id);

CREATE TABLE IF NOT EXISTS enquiry_votes (
    enquiry_id TEXT NOT NULL,
    person_id  TEXT NOT NULL,
    PRIMARY KEY (enquiry_id, person_id)
);

-- Anonymous questions until the hour at which all of them enter the log together. Owned by no projection. There is neither a person nor a
-- time in it, and its ids, made of the texts, are in no order of arrival.
CREATE TABLE IF NOT EXISTS held_enquiries (
    enquiry_id TEXT PRIMARY KEY,
    body       TEXT NOT NULL,
    addressees TEXT NOT NULL
);

-- feed.ideas
CREATE TABLE IF NOT EXISTS ideas (
    post_id         TEXT PRIMARY KEY,
    author_id       TEXT NOT NULL,
    state           INTEGER NOT NULL,
    sponsor_id      TEXT NOT NULL,
    objective_title TEXT NOT NULL,
    objective_url   TEXT NOT NULL,
    -- Who named the objective.
    linker_id       TEXT NOT NULL,
    vote_count      INTEGER NOT NULL,
    propose_time    BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS ideas_by_votes ON ideas (vote_count, post_id);

CREATE TABLE IF NOT EXISTS idea_steps (
    post_id   TEXT NOT NULL,
    version   INTEGER NOT NULL,
    state     INTEGER NOT NULL,
    person_id TEXT NOT NULL,
    reason    TEXT NOT NULL,
    step_time BIGINT NOT NULL,
    PRIMARY KEY (post_id, version)
);
CREATE INDEX IF NOT EXISTS idea_steps_by_person ON idea_steps (person_id);

CREATE TABLE IF NOT EXISTS idea_votes (
    post_id   TEXT NOT NULL,
    person_id TEXT NOT NULL,
    PRIMARY KEY (post_id, person_id)
);

-- feed.notifications: who is told when a question to leaders or an idea has a new state.
CREATE TABLE IF NOT EXISTS notification_supporters (
    subject_id TEXT NOT NULL,
    person_id  TEXT NOT NULL,
    PRIMARY KEY (subject_id, person_id)
);

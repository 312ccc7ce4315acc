-- Delivery: what reaches people outside the pages.

-- feed.delivery_people: what identity says of where and how to reach somebody.
CREATE TABLE IF NOT EXISTS delivery_people (
    person_id TEXT PRIMARY KEY,
    email     TEXT NOT NULL,
    -- IANA; empty when unknown.
    time_zone TEXT NOT NULL,
    -- Spoken, separated by spaces.
    languages TEXT NOT NULL
);

-- feed.delivery: the preferences of those who ever changed any; everybody else has the defaults of calm.py.
CREATE TABLE IF NOT EXISTS delivery_preferences (
    person_id   TEXT PRIMARY KEY,
    -- A serialized watercooler.feed.v1.DeliveryPreferences.
    card        BYTEA NOT NULL,
    rhythm      INTEGER NOT NULL,
    digest_hour INTEGER NOT NULL,
    digest_day  INTEGER NOT NULL,
    change_time BIGINT NOT NULL
);

-- The kinds of notifications that a person does not want to see at all.
CREATE TABLE IF NOT EXISTS silenced_kinds (
    person_id TEXT NOT NULL,
    kind      INTEGER NOT NULL,
    PRIMARY KEY (person_id, kind)
);

CREATE TABLE IF NOT EXISTS push_subscriptions (
    subscription_id TEXT PRIMARY KEY,
    person_id       TEXT NOT NULL,
    holder          TEXT NOT NULL,
    endpoint        TEXT NOT NULL,
    public_key      BYTEA NOT NULL,
    secret          BYTEA NOT NULL,
    format          INTEGER NOT NULL,
    -- Numbers separated by spaces; empty: what the preferences push.
    kinds           TEXT NOT NULL,
    policy          TEXT NOT NULL,
    label           TEXT NOT NULL,
    client_token    TEXT NOT NULL,
    subscribe_time  BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS push_subscriptions_by_person ON push_subscriptions (person_id, subscribe_time);
CREATE INDEX IF NOT EXISTS push_subscriptions_by_holder ON push_subscriptions (holder);

CREATE TABLE IF NOT EXISTS digests_sent (
    person_id TEXT PRIMARY KEY,
    slot_time BIGINT NOT NULL,
    send_time BIGINT NOT NULL
);

-- Who is to be pushed what an event of the log caused: it is asked for each new position.
CREATE INDEX IF NOT EXISTS notifications_by_position ON notifications (position);

-- What follows is work in progress and no read model: a rebuild leaves it as it is.

-- Pushes that are to be sent. The text is made when they are.
CREATE TABLE IF NOT EXISTS push_queue (
    subscription_id TEXT NOT NULL,
    position        BIGINT NOT NULL,
    kind            INTEGER NOT NULL,
    person_id       TEXT NOT NULL,
    queue_time      BIGINT NOT NULL,
    due_time        BIGINT NOT NULL,
    tries           INTEGER NOT NULL,
    PRIMARY KEY (subscription_id, position, kind)
);
CREATE INDEX IF NOT EXISTS push_queue_by_due_time ON push_queue (due_time);

-- How much of a day's budget is spent.
CREATE TABLE IF NOT EXISTS push_days (
    person_id TEXT PRIMARY KEY,
    -- The day in the person's time zone, as days since year 1.
    day       INTEGER NOT NULL,
    pushes    INTEGER NOT NULL
);

-- The digest that was due last: `outcome` is waiting, sent, empty, refused or skipped.
CREATE TABLE IF NOT EXISTS digest_slots (
    person_id TEXT PRIMARY KEY,
    slot_time BIGINT NOT NULL,
    outcome   TEXT NOT NULL,
    tries     INTEGER NOT NULL,
    try_time  BIGINT NOT NULL
);

-- The deployment's own secrets for delivery: made once, never changed, kept like the keys of people.
CREATE TABLE IF NOT EXISTS delivery_keys (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- When a person last sent themselves a test.
CREATE TABLE IF NOT EXISTS delivery_tests (
    person_id TEXT NOT NULL,
    kind      TEXT NOT NULL,
    test_time BIGINT NOT NULL,
    PRIMARY KEY (person_id, kind)
);

-- feed.integrations: outgoing webhooks, bots, incoming hooks, slash commands. An empty community is the organisation.
CREATE TABLE IF NOT EXISTS webhooks (
    webhook_id          TEXT PRIMARY KEY,
    name                TEXT NOT NULL,
    url                 TEXT NOT NULL,
    community_id        TEXT NOT NULL,
    -- Full names of events, separated by spaces.
    event_types         TEXT NOT NULL,
    includes_restricted INTEGER NOT NULL,
    secret              TEXT NOT NULL,
    -- The one before signs as well until then.
    previous_secret     TEXT NOT NULL,
    previous_until_time BIGINT NOT NULL,
    creator_id          TEXT NOT NULL,
    create_time         BIGINT NOT NULL,
    disabled            INTEGER NOT NULL,
    disabled_reason     TEXT NOT NULL,
    version             INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS webhooks_by_community ON webhooks (community_id, webhook_id);

CREATE TABLE IF NOT EXISTS bots (
    bot_id       TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    description  TEXT NOT NULL,
    community_id TEXT NOT NULL,
    owner_id     TEXT NOT NULL,
    create_time  BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS bots_by_community ON bots (community_id, bot_id);

CREATE TABLE IF NOT EXISTS incoming_hooks (
    hook_id      TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    community_id TEXT NOT NULL,
    person_id    TEXT NOT NULL,
    bot_id       TEXT NOT NULL,
    secret_hash  TEXT NOT NULL,
    creator_id   TEXT NOT NULL,
    create_time  BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS incoming_hooks_by_community ON incoming_hooks (community_id, hook_id);
CREATE INDEX IF NOT EXISTS incoming_hooks_by_person ON incoming_hooks (person_id, hook_id);

CREATE TABLE IF NOT EXISTS slash_commands (
    command_id    TEXT PRIMARY KEY,
    bot_id        TEXT NOT NULL,
    name          TEXT NOT NULL,
    description   TEXT NOT NULL,
    hint          TEXT NOT NULL,
    url           TEXT NOT NULL,
    community_id  TEXT NOT NULL,
    secret        TEXT NOT NULL,
    UNIQUE (community_id, name)
);
CREATE INDEX IF NOT EXISTS slash_commands_by_bot ON slash_commands (bot_id, command_id);

-- What is to be sent to webhooks and what became of it, for 30 days: no read model. The body is made of the log when it is sent, so that
-- nothing erased lives on here.
CREATE TABLE IF NOT EXISTS webhook_deliveries (
    -- Of the hook and the event, so that an event is noted once.
    delivery_id   TEXT PRIMARY KEY,
    webhook_id    TEXT NOT NULL,
    event_type    TEXT NOT NULL,
    -- The log and the position in it; position 0 is a ping.
    source        TEXT NOT NULL,
    position      BIGINT NOT NULL,
    record_time   BIGINT NOT NULL,
    -- watercooler.feed.v1.WebhookDeliveryState.
    state         INTEGER NOT NULL,
    tries         INTEGER NOT NULL,
    due_time      BIGINT NOT NULL,
    try_time      BIGINT NOT NULL,
    answer_status INTEGER NOT NULL,
    answer        TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS webhook_deliveries_by_hook ON webhook_deliveries (webhook_id, state, record_time, delivery_id);
CREATE INDEX IF NOT EXISTS webhook_deliveries_by_time ON webhook_deliveries (webhook_id, record_time, delivery_id);

-- Since when a webhook has had no success: no read model.
CREATE TABLE IF NOT EXISTS webhook_failures (
    webhook_id    TEXT PRIMARY KEY,
    failing_since BIGINT NOT NULL
);

-- Commands that may still be answered later: no read model, gone after half an hour.
CREATE TABLE IF NOT EXISTS command_runs (
    token_hash   TEXT PRIMARY KEY,
    command_id   TEXT NOT NULL,
    bot_id       TEXT NOT NULL,
    person_id    TEXT NOT NULL,
    parent_id    TEXT NOT NULL,
    -- watercooler.common.v1.Audience, serialized; for what was typed outside a thread.
    audience     BYTEA NOT NULL,
    uses         INTEGER NOT NULL,
    expire_time  BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS command_runs_by_time ON command_runs (expire_time);

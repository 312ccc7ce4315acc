-- Who set up the deployment: one row.
CREATE TABLE IF NOT EXISTS organizations (
    organization_id TEXT PRIMARY KEY,
    name            TEXT NOT NULL,
    create_time     BIGINT NOT NULL,
    version         INTEGER NOT NULL
);

-- Everyone there ever was; the erased ones keep their row without any personal fact.
CREATE TABLE IF NOT EXISTS people (
    person_id           TEXT PRIMARY KEY,
    -- watercooler.identity.v1.PersonState: 1 active, 2 left, 3 erased.
    state               INTEGER NOT NULL,
    -- watercooler.identity.v1.Profile, serialized.
    profile             BYTEA NOT NULL,
    display_name        TEXT NOT NULL,
    -- What lists are sorted by and what a search looks into: folded text.
    name_key            TEXT NOT NULL,
    search_key          TEXT NOT NULL,
    -- Unique among the living; NULL where there is none.
    email_key           TEXT UNIQUE,
    employee_number_key TEXT UNIQUE,
    handle_key          TEXT UNIQUE,
    department          TEXT NOT NULL,
    location            TEXT NOT NULL,
    manager_id          TEXT,
    photo_blob_id       TEXT NOT NULL,
    has_password        INTEGER NOT NULL,
    invited             INTEGER NOT NULL,
    add_time            BIGINT NOT NULL,
    leave_time          BIGINT,
    version             INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS people_by_name ON people (state, name_key, person_id);
CREATE INDEX IF NOT EXISTS people_by_any_name ON people (name_key, person_id);
CREATE INDEX IF NOT EXISTS people_by_manager ON people (manager_id, state, name_key, person_id);

CREATE TABLE IF NOT EXISTS person_roles (
    person_id TEXT NOT NULL,
    role      INTEGER NOT NULL,
    PRIMARY KEY (person_id, role)
);
CREATE INDEX IF NOT EXISTS person_roles_by_role ON person_roles (role, person_id);

-- By which key an outside source knows a person: source:key.
CREATE TABLE IF NOT EXISTS external_keys (
    external_key TEXT PRIMARY KEY,
    person_id    TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS external_keys_by_person ON external_keys (person_id);

CREATE TABLE IF NOT EXISTS passwords (
    person_id     TEXT PRIMARY KEY,
    password_hash TEXT NOT NULL
);

-- Links that are still open, by the SHA-256 of their secret. `kind` is invitation or reset.
CREATE TABLE IF NOT EXISTS link_secrets (
    secret_hash TEXT PRIMARY KEY,
    person_id   TEXT NOT NULL,
    kind        TEXT NOT NULL,
    expire_time BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS link_secrets_by_person ON link_secrets (person_id, kind);

CREATE TABLE IF NOT EXISTS access_tokens (
    token_id    TEXT PRIMARY KEY,
    person_id   TEXT NOT NULL,
    name        TEXT NOT NULL,
    -- Separated by spaces.
    scopes      TEXT NOT NULL,
    secret_hash TEXT NOT NULL UNIQUE,
    issue_time  BIGINT NOT NULL,
    expire_time BIGINT
);
CREATE INDEX IF NOT EXISTS access_tokens_by_person ON access_tokens (person_id, token_id);

CREATE TABLE IF NOT EXISTS groups (
    group_id     TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    name_key     TEXT NOT NULL,
    kind         TEXT NOT NULL,
    parent_id    TEXT NOT NULL,
    description  TEXT NOT NULL,
    external_key TEXT UNIQUE,
    version      INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS groups_by_name ON groups (name_key, group_id);

CREATE TABLE IF NOT EXISTS group_members (
    group_id  TEXT NOT NULL,
    person_id TEXT NOT NULL,
    role      TEXT NOT NULL,
    PRIMARY KEY (group_id, person_id)
);
CREATE INDEX IF NOT EXISTS group_members_by_person ON group_members (person_id, group_id);

-- Attempts of the last minute to sign in or to get a reset link: no read model but a counter, swept as time passes. Addresses are
-- kept as hashes.
CREATE TABLE IF NOT EXISTS sign_in_attempts (
    attempt_id   TEXT PRIMARY KEY,
    attempt_key  TEXT NOT NULL,
    attempt_time BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS sign_in_attempts_by_key ON sign_in_attempts (attempt_key, attempt_time);
CREATE INDEX IF NOT EXISTS sign_in_attempts_by_time ON sign_in_attempts (attempt_time);

-- Letters that the mail server has not taken yet: no read model either. They hold working links, and go as soon as they are sent.
CREATE TABLE IF NOT EXISTS letters (
    letter_id   TEXT PRIMARY KEY,
    address     TEXT NOT NULL,
    address_key TEXT NOT NULL,
    subject     TEXT NOT NULL,
    body        TEXT NOT NULL,
    write_time  BIGINT NOT NULL,
    expire_time BIGINT NOT NULL,
    due_time    BIGINT NOT NULL,
    tries       INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS letters_by_due_time ON letters (due_time, letter_id);
CREATE INDEX IF NOT EXISTS letters_by_address ON letters (address_key);

-- Apps that people may let act for them. Those nobody uses yet are kept up to a number.
CREATE TABLE IF NOT EXISTS apps (
    app_id        TEXT PRIMARY KEY,
    name          TEXT NOT NULL,
    website       TEXT NOT NULL,
    -- Each on a line of its own.
    redirect_uris TEXT NOT NULL,
    -- Separated by spaces.
    scopes        TEXT NOT NULL,
    secret_hash   TEXT NOT NULL,
    register_time BIGINT NOT NULL,
    is_used       INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS apps_by_use ON apps (is_used, app_id);

-- The tokens of apps that count. Those by which an app acts for itself have no person.
CREATE TABLE IF NOT EXISTS app_tokens (
    token_id    TEXT PRIMARY KEY,
    app_id      TEXT NOT NULL,
    person_id   TEXT NOT NULL,
    scopes      TEXT NOT NULL,
    secret_hash TEXT NOT NULL UNIQUE,
    issue_time  BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS app_tokens_by_person ON app_tokens (person_id, app_id, token_id);
CREATE INDEX IF NOT EXISTS app_tokens_by_app ON app_tokens (app_id, person_id, token_id);

-- On which day a token was last used: no read model, for no event says so.
CREATE TABLE IF NOT EXISTS token_uses (
    token_id TEXT PRIMARY KEY,
    use_day  INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS token_uses_by_day ON token_uses (use_day, token_id);

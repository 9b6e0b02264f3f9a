-- What language models say of photos, and an account of everything that was asked of them.
--
-- Asking costs money: a request is written down before it is sent, so that no photo is sent again while it
-- is not known what came of it. Requests name photos by their content: an answer outlives a photo that is
-- indexed again, and what was paid stays known when the photo goes.

CREATE TABLE descriptions (
    image_id bigint PRIMARY KEY REFERENCES images ON DELETE CASCADE,
    description text NOT NULL,
    quality real NOT NULL CHECK (quality BETWEEN 0 AND 1),
    season text NOT NULL,
    time_of_day text NOT NULL,
    environment text NOT NULL,
    people integer NOT NULL,
    activities text[] NOT NULL,
    objects text[] NOT NULL,
    text_in_image text NOT NULL,
    tags text[] NOT NULL,
    emotional_tone text NOT NULL,
    answer jsonb NOT NULL,                    -- the whole of it
    provider text NOT NULL,
    model text NOT NULL,
    prompt text NOT NULL,                     -- SHA-256 of what was asked
    input_tokens integer NOT NULL,
    output_tokens integer NOT NULL,
    cache_read_tokens integer NOT NULL,
    cache_write_tokens integer NOT NULL,
    duration_s real,                          -- NULL for an answer that came in a batch
    cost_usd numeric,                         -- NULL where the model has no known price
    described_at timestamptz NOT NULL DEFAULT now(),
    words tsvector GENERATED ALWAYS AS
        (jsonb_to_tsvector('english'::regconfig, answer, '["string"]'::jsonb)) STORED
);
CREATE INDEX descriptions_words ON descriptions USING gin (words);
CREATE INDEX descriptions_tags ON descriptions USING gin (tags);

-- A batch, or all that one run asks photo by photo.
CREATE TABLE description_jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text NOT NULL UNIQUE,                 -- of our making: every request that is sent names it
    provider text NOT NULL,
    place text NOT NULL,                      -- the server or account that it is sent to
    model text NOT NULL,
    prompt text NOT NULL,
    is_batch boolean NOT NULL,
    remote_id text,                           -- what the provider calls the batch
    status text NOT NULL CHECK (status IN ('intent', 'sent', 'ended')),
    price jsonb,                              -- as it was when this was sent; NULL where it is not known
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    ended_at timestamptz
);
CREATE INDEX description_jobs_open ON description_jobs (id) WHERE status <> 'ended';

CREATE TABLE description_requests (
    job_id bigint NOT NULL REFERENCES description_jobs ON DELETE CASCADE,
    sha256 text COLLATE "C" NOT NULL CHECK (length(sha256) = 64),
    -- open: it is not known yet what came of it; answered and refused were paid, free was not;
    -- doubtful: nobody will ever know.
    status text NOT NULL CHECK (status IN ('open', 'answered', 'refused', 'free', 'doubtful')),
    reason text NOT NULL DEFAULT '',
    most_usd numeric,                         -- what it could cost at most
    cost_usd numeric,                         -- what it cost
    input_tokens integer NOT NULL DEFAULT 0,
    output_tokens integer NOT NULL DEFAULT 0,
    cache_read_tokens integer NOT NULL DEFAULT 0,
    cache_write_tokens integer NOT NULL DEFAULT 0,
    settled_at timestamptz,
    PRIMARY KEY (job_id, sha256)
);
CREATE INDEX description_requests_open ON description_requests (sha256) WHERE status = 'open';

-- What procrastinate does not keep of its jobs. Made in its schema, so that the tables go and come together.
CREATE TABLE job_notes (
    job_id bigint PRIMARY KEY REFERENCES procrastinate_jobs ON DELETE CASCADE,
    part_of bigint REFERENCES procrastinate_jobs ON DELETE CASCADE,   -- the job that queued this one
    host text NOT NULL DEFAULT '',                      -- where it runs, or ran last
    stage text NOT NULL DEFAULT '',                     -- what is being done
    done bigint NOT NULL DEFAULT 0,
    total bigint,
    reason text NOT NULL DEFAULT '',                    -- why it failed
    summary jsonb,                                      -- what came of it
    deaths integer NOT NULL DEFAULT 0,                  -- of workers, in a row, without any progress
    done_at_death bigint NOT NULL DEFAULT 0,
    noted_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX job_notes_part_of ON job_notes (part_of) WHERE part_of IS NOT NULL;

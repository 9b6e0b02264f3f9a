-- What is asked of parts by the ten thousand is kept beside them: how each stands, and what came of all together.

-- No worker changes how a job stands between its being copied and the trigger.
LOCK TABLE procrastinate_jobs IN SHARE ROW EXCLUSIVE MODE;

ALTER TABLE job_notes
    ADD COLUMN status procrastinate_job_status NOT NULL DEFAULT 'todo',    -- of parts, as their jobs have it
    ADD COLUMN sums jsonb NOT NULL DEFAULT '{}';                           -- numbers of the summaries of all parts

UPDATE job_notes n SET status = j.status FROM procrastinate_jobs j WHERE j.id = n.job_id;

UPDATE job_notes n SET sums = s.sums
    FROM (SELECT part_of, jsonb_object_agg(key, total) AS sums
        FROM (SELECT m.part_of, key, sum(value::numeric) AS total
            FROM job_notes m, jsonb_each(m.summary)
            WHERE m.part_of IS NOT NULL AND jsonb_typeof(value) = 'number' GROUP BY 1, 2) AS of_key
        GROUP BY part_of) AS s
    WHERE n.job_id = s.part_of;

CREATE FUNCTION facesets_note_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE queue.job_notes SET status = NEW.status WHERE job_id = NEW.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER facesets_note_status AFTER UPDATE OF status ON procrastinate_jobs
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION facesets_note_status();

-- The latest jobs are found without passing all of their parts.
CREATE INDEX facesets_jobs_whole ON procrastinate_jobs (id) WHERE task_name <> 'index photos';

-- Steps that note a million faces in less time, and forgetting that can be finished after it was cut off.

-- A reference is checked a face at a time, which costs as much again as the row, for one step of all of them. So
-- faces go with their step by one statement, however many they are.
ALTER TABLE step_faces DROP CONSTRAINT step_faces_step_id_fkey;
CREATE FUNCTION drop_step_faces() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM step_faces f USING gone WHERE f.step_id = gone.id;
    RETURN NULL;
END $$;
CREATE TRIGGER steps_gone AFTER DELETE ON steps
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION drop_step_faces();

-- People who were erased while old pages of tables may hold them still. By hashes with the key of `forgotten_faces`
-- the same command is known again; a row goes when nothing is left.
CREATE TABLE unfinished_forgetting (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    names bytea[] NOT NULL,                             -- what they were called
    numbers bytea[] NOT NULL,                           -- other ways to say whom the command was about
    erased_at timestamptz NOT NULL DEFAULT now()
);

-- Folders that hold results of the library, so that whoever is forgotten is looked for there.
CREATE TABLE result_folders (
    path text COLLATE "C" PRIMARY KEY,
    written_at timestamptz NOT NULL DEFAULT now()
);

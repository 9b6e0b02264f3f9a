-- XMP sidecars beside photos: what of them is ours, and what they held before each run that wrote them.

-- No reference to the paths of photos: those of a disk that is not mounted come and go.
CREATE TABLE xmp_sidecars (
    path text COLLATE "C" PRIMARY KEY,        -- of the photo
    name text COLLATE "C" NOT NULL,           -- of the sidecar, in the same folder
    people uuid[] NOT NULL,                   -- whom it was to name
    ours bytea NOT NULL,                      -- regions and keywords that we wrote, names as keyed hashes; JSON
    planned bytea,                            -- the same as a write would leave it that has begun
    made_of bytea,                            -- hash of the faces and names that it was made of; null: look again
    size bigint,                              -- of the file as we left it
    mtime_ns bigint,
    names_forgotten boolean NOT NULL          -- it names somebody who was forgotten: what it holds is not kept
);

CREATE TABLE xmp_changes (
    run_id bigint NOT NULL REFERENCES runs ON DELETE CASCADE,
    path text COLLATE "C" NOT NULL,           -- of the photo
    sidecar text COLLATE "C" NOT NULL,        -- its name, in the same folder
    before bytea,                             -- what it held, compressed by zlib; null where there was none
    after_sha256 bytea,                       -- of what we wrote; null where we removed it
    people_before uuid[],                     -- whom it named by us; null where nothing of it was ours
    ours_before bytea,
    PRIMARY KEY (run_id, path)
);

-- What files say of photos beside their pixels: when, where and by which camera they were taken.

-- Few, beside photos: so that a camera is found by any part of its name.
CREATE TABLE cameras (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    make text NOT NULL,
    model text NOT NULL,
    lens text NOT NULL,
    UNIQUE (make, model, lens)
);

CREATE TABLE photo_metadata (
    image_id bigint PRIMARY KEY REFERENCES images ON DELETE CASCADE,
    taken timestamp,                          -- by the camera's clock, with fractions; images.taken has the whole seconds
    taken_from text NOT NULL,                 -- what says it: DateTimeOriginal, XMP, file name, ...
    taken_text text NOT NULL,                 -- as it was read, though it may not be believed
    utc_offset_min smallint,                  -- the camera's clock ahead of UTC
    latitude double precision,                -- degrees, north and east positive; both or none
    longitude double precision,
    altitude_m double precision,
    gps_accuracy_m double precision,
    camera_id integer REFERENCES cameras,     -- none where nothing says which
    iso integer,
    aperture double precision,                -- the f-number
    exposure_s double precision,
    focal_length_mm double precision,
    orientation smallint NOT NULL,            -- as EXIF numbers it
    refused jsonb NOT NULL                    -- fields that are not believed, with the reason
);
-- Times are points, too: so the latest photos of a place come from the index one after the other.
CREATE INDEX photo_metadata_place ON photo_metadata
    USING gist (point(longitude, latitude), point(floor(extract(epoch FROM taken))::float8, 0))
    WHERE latitude IS NOT NULL;
CREATE INDEX photo_metadata_camera ON photo_metadata
    (camera_id, date_trunc('second', taken) DESC NULLS LAST, image_id DESC) WHERE camera_id IS NOT NULL;

-- All other tags by their names. Of their own, for they are ten times as long as the rest.
CREATE TABLE photo_extra (
    image_id bigint PRIMARY KEY REFERENCES images ON DELETE CASCADE,
    extra jsonb NOT NULL
);
CREATE INDEX photo_extra_tags ON photo_extra USING gin (extra jsonb_path_ops);

-- Searches are planned by PostgreSQL, which reads what fits from indexes and sorts it by time. So no index need be in
-- the order of time, and what is read of a photo is in the index: a place by its degrees, of whose spread PostgreSQL
-- knows, unlike that of points.

DROP INDEX photo_metadata_place;
CREATE INDEX photo_metadata_place ON photo_metadata (latitude, longitude) INCLUDE (image_id)
    WHERE latitude IS NOT NULL;
DROP INDEX photo_metadata_camera;
CREATE INDEX photo_metadata_camera ON photo_metadata (camera_id, image_id) WHERE camera_id IS NOT NULL;

DROP INDEX images_id_taken;
CREATE INDEX images_id_taken ON images (id) INCLUDE (taken, missing_since);

-- The latest photos of a tag are sorted, too. The column stays for programs that fill it; nothing reads it.
DROP INDEX image_tags_tag;
DROP TRIGGER image_tags_taken ON images;
DROP FUNCTION let_tags_follow_time;

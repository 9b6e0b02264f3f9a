-- How much a face shows: the length of the recogniser's output before it was scaled to unit length. NaN where it is not
-- known, as of faces that were found before it was kept (`facesets enrich` fills it in) and of ML services.
ALTER TABLE face_detections ADD COLUMN norm real NOT NULL DEFAULT 'NaN';

-- Reference faces are chosen by it.
DROP TRIGGER face_detections_changed ON face_detections;
CREATE TRIGGER face_detections_changed
    AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE OF person_id, cluster, detector_id, image_id, norm ON face_detections
    FOR EACH STATEMENT EXECUTE FUNCTION note_change_without_step();

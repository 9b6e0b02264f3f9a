-- How much a face shows: the length of the recogniser's output before it was scaled to unit length. NaN where it is not
-- known, as of faces that were found before it was kept (`facesets enrich` fills it in) and of ML services.
ALTER TABLE face_detections ADD COLUMN norm real NOT NULL DEFAULT 'NaN';

-- Reference faces are chosen by it.
DROP TRIGGER face_detections_changed ON face_detections;
CREATE TRIGGER face_detections_changed
    AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE OF person_id, cluster, detector_id, image_id, norm ON face_detections
    FOR EACH STATEMENT EXECUTE FUNCTION note_change_without_step();

-- From which norms on faces show enough, of recognisers that were not measured beforehand: as measured on the library's
-- own faces, and on how many. They stay until a tenth more are there.
ALTER TABLE models
    ADD COLUMN norm_founding real,
    ADD COLUMN norm_joining real,
    ADD COLUMN norm_faces integer NOT NULL DEFAULT 0;

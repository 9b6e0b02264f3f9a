-- How many questions are open is counted when somebody asks: with twenty thousand of them that takes half a second.
DROP FUNCTION note_change_of_questions CASCADE;         -- and its triggers
DROP TABLE changes_of_questions;

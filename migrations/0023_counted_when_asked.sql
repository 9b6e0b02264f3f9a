-- What takes a moment to find out is found out when somebody asks.

-- How many questions are open: half a second where there are twenty thousand.
DROP FUNCTION note_change_of_questions CASCADE;         -- and its triggers
DROP TABLE changes_of_questions;

-- When some people were born: a tenth of a second for one of thirty thousand faces.
DROP FUNCTION forget_ages CASCADE;
DROP TABLE person_ages;

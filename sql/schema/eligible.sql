-- question: which images a cohort may start from
-- one row: one kept image whose file is still there; of a group of near-duplicates that spans
-- patients only the lowest key
-- example: select count(*) from eligible
create or replace view eligible as
with later_copies as (
    select image_key
    from near_duplicate_groups
    where spans_patients and image_key != group_key
)

select images.*
from images
anti join vanished_files
    on
        images.file_key = vanished_files.file_key
        and images.archive = vanished_files.archive
anti join later_copies on images.image_key = later_copies.image_key;

-- question: which images a cohort may start from
-- one row: one kept image whose file still exists; of a group of near-duplicates of several
-- patients, only the lowest key with an existing file
-- example: select count(*) from eligible
create or replace view eligible as
with
-- the few near-duplicates are looked up in images separately: one common table of all existing
-- images would be computed in full before a cohort's own conditions are applied
later_copies as (
    select near_duplicate_groups.image_key
    from near_duplicate_groups
    inner join images on near_duplicate_groups.image_key = images.image_key
    anti join vanished_files
        on
            images.file_key = vanished_files.file_key
            and images.archive = vanished_files.archive
    window
        in_group as (
            partition by near_duplicate_groups.group_key
        )
    qualify
        min(images.patient_key) over in_group != max(images.patient_key) over in_group
        and near_duplicate_groups.image_key != min(images.image_key) over in_group
)

select images.*
from images
anti join vanished_files
    on
        images.file_key = vanished_files.file_key
        and images.archive = vanished_files.archive
anti join later_copies on images.image_key = later_copies.image_key;

-- question: which images a cohort may start from
-- one row: one kept image whose file is still there; of a group of near-duplicates that spans
-- patients only the lowest key of those that are there
-- example: select count(*) from eligible
create or replace view eligible as
with
present as (
    select images.*
    from images
    anti join vanished_files
        on
            images.file_key = vanished_files.file_key
            and images.archive = vanished_files.archive
),

later_copies as (
    select near_duplicate_groups.image_key
    from near_duplicate_groups
    inner join present on near_duplicate_groups.image_key = present.image_key
    window
        in_group as (
            partition by near_duplicate_groups.group_key
        )
    qualify
        min(present.patient_key) over in_group != max(present.patient_key) over in_group
        and near_duplicate_groups.image_key != min(present.image_key) over in_group
)

select present.*
from present
anti join later_copies on present.image_key = later_copies.image_key;

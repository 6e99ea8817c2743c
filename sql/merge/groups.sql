-- question: which kept images show one exposure, and whether they belong to several patients
-- one row: one image of a group of near-duplicates
-- example: run by `xray-mining merge`
create table near_duplicate_groups as
select
    raw_groups.image_key,
    raw_groups.group_key,
    min(images.patient_key) over in_group != max(images.patient_key) over in_group
        as spans_patients
from raw_groups
inner join images on raw_groups.image_key = images.image_key
window in_group as (
    partition by raw_groups.group_key
)

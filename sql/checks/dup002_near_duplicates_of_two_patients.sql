-- check: DUP002 warning archive
-- question: near-duplicates of different patients (only one of each group is eligible)
-- one row: one group with its images and patients
-- needs: near_duplicates
-- example: xray-mining check
select
    near_duplicate_groups.group_key,
    count(*) as images,
    count(distinct images.patient_key) as patients
from near_duplicate_groups
inner join images on near_duplicate_groups.image_key = images.image_key
where near_duplicate_groups.spans_patients
group by near_duplicate_groups.group_key
order by near_duplicate_groups.group_key

-- check: LEAK005 error cohort
-- question: one linked row labels members of two splits, so a training label is tested
-- one row: one linked row with the lowest and highest key of the members that it labels
-- example: xray-mining check age_balanced
with
-- A linked row names a study and its patient, and a cohort uses its label for both. If
-- another patient has images of that study, the row labels them by the study, and the
-- patient's other studies by the patient, although no patient or study is in two splits.
linked as (
    select
        source,
        name,
        study_key,
        patient_key
    from findings
    where image_key is null and study_key is not null
),

-- a consistent archive has no such rows, so the following steps cost nothing
torn as (
    select distinct
        linked.source,
        linked.name,
        linked.study_key,
        linked.patient_key
    from linked
    inner join members on linked.study_key = members.study_key
    where linked.patient_key != members.patient_key
),

labelled as (
    select
        torn.*,
        members.image_key,
        members.fold,
        members.split
    from torn
    inner join members on torn.study_key = members.study_key
    union
    select
        torn.*,
        members.image_key,
        members.fold,
        members.split
    from torn
    inner join members on torn.patient_key = members.patient_key
)

select
    min(image_key) as image_key,
    max(image_key) as other_image_key,
    source,
    name
from labelled
group by source, name, study_key, patient_key
having min(fold) != max(fold) or min(split) != max(split)
order by image_key, other_image_key, source, name

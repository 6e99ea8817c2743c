-- question: does a group that was drawn at random look like something (it must not)
-- one row: one patient's latest frontal image with its random label
-- parameter: $name text = 'null_group'  name of the finding that holds the label
-- parameter: $positive text = 'A'  the label that counts as positive
-- target: group binary positive='positive'
-- made of: findings
-- example: xray-mining cohort null_group
with
-- step: files that are there, one of each exposure
present as (
    select image_key, patient_key, patient_source, view_position, patient_sequence
    from eligible
),

-- step: with a patient id
identified as (
    select image_key, patient_key, view_position, patient_sequence
    from present
    where patient_source != 'none'
),

-- step: frontal view
frontal_view as (
    select image_key, patient_key, patient_sequence
    from identified
    where view_position in ('PA', 'AP')
),

-- step: with the random label
labelled as (
    select
        frontal_view.image_key,
        frontal_view.patient_key,
        frontal_view.patient_sequence,
        if(findings.label = $positive, 'positive', 'other') as "group"
    from frontal_view
    inner join findings on frontal_view.image_key = findings.image_key
    where findings.name = $name and findings.label is not null
),

-- step: latest image of a patient
latest as (
    select image_key, "group"
    from labelled
    qualify row_number() over (partition by patient_key order by patient_sequence desc) = 1
)

select image_key, "group"
from latest

-- question: how severe a disease is, as levels that a reader gave to each image
-- one row: one image with a score of the reader, several of a patient welcome
-- note: link the readers' tables first (`xray-mining link`), each score as a finding of kind number
-- parameter: $score text = 'severity'  name of the finding that holds the score: whole numbers
-- target: severity ordinal
-- made of: findings
-- example: xray-mining cohort severity --param score=brixia_senior
with
-- step: files that are there, one of each exposure
present as (
    select image_key, study_key, patient_key, patient_source, view_position
    from eligible
),

-- step: with a patient id
identified as (
    select image_key, study_key, patient_key, view_position
    from present
    where patient_source != 'none'
),

-- step: frontal, or of unknown view
not_lateral as (
    select image_key, study_key, patient_key
    from identified
    where view_position is null or view_position in ('PA', 'AP')
),

-- step: with one score; images with scores that differ are left out
scored as (
    select not_lateral.image_key, min(findings.value)::integer as severity
    from not_lateral
    inner join findings
        on
            not_lateral.patient_key = findings.patient_key
            and not_lateral.study_key = coalesce(findings.study_key, not_lateral.study_key)
            and not_lateral.image_key = coalesce(findings.image_key, not_lateral.image_key)
    where findings.name = $score and findings.value is not null
    group by not_lateral.image_key
    having min(findings.value) = max(findings.value)
)

select image_key, severity
from scored

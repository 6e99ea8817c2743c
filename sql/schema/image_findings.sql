-- question: what findings say of each image: its own rows, or those of its study or patient
-- one row: one kept image and one row of findings that speaks of it
-- example: select name, count(distinct image_key) from image_findings group by all
create or replace view image_findings as
select
    images.image_key,
    findings.name,
    findings.value,
    findings.label,
    findings.unit,
    findings.study_day,
    findings.source,
    findings.source_version
from images
inner join findings
    on
        images.patient_key = findings.patient_key
        and images.study_key = coalesce(findings.study_key, images.study_key)
        and images.image_key = coalesce(findings.image_key, images.image_key);

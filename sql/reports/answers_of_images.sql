-- question: what one finding says of images, in place of a target's truth
-- one row: one image with one answer; images with answers that differ are left out
-- parameter: $image_keys texts  the images
-- parameter: $finding text  name of the finding
-- example: read by the second reader of a study
with
asked as (
    select
        images.image_key,
        images.study_key,
        images.patient_key
    from (select unnest($image_keys)::uuid as image_key) as keys
    inner join images on keys.image_key = images.image_key
)

select
    asked.image_key::varchar as image_key,
    min(findings.value) as truth,
    coalesce(
        min(findings.label),
        if(
            min(findings.value) = floor(min(findings.value)),
            min(findings.value)::bigint::varchar,
            min(findings.value)::varchar
        )
    ) as label
from asked
inner join findings
    on
        asked.patient_key = findings.patient_key
        and asked.study_key = coalesce(findings.study_key, asked.study_key)
        and asked.image_key = coalesce(findings.image_key, asked.image_key)
where findings.name = $finding and (findings.value is not null or findings.label is not null)
group by asked.image_key
having
    min(findings.value) is not distinct from max(findings.value)
    and min(findings.label) is not distinct from max(findings.label)
order by asked.image_key

-- question: the values of one finding for images, used instead of a target's truth
-- one row: one image with one answer; images with different answers are left out
-- parameter: $image_keys texts  the images
-- parameter: $finding text  name of the finding
-- example: read by the second reader of a study
select
    keys.image_key::varchar as image_key,
    min(image_findings.value) as truth,
    coalesce(
        min(image_findings.label),
        if(
            min(image_findings.value) = floor(min(image_findings.value)),
            min(image_findings.value)::bigint::varchar,
            min(image_findings.value)::varchar
        )
    ) as label
from (select unnest($image_keys)::uuid as image_key) as keys
inner join image_findings on keys.image_key = image_findings.image_key
where
    image_findings.name = $finding
    and (image_findings.value is not null or image_findings.label is not null)
group by keys.image_key
having
    min(image_findings.value) is not distinct from max(image_findings.value)
    and min(image_findings.label) is not distinct from max(image_findings.label)
order by keys.image_key

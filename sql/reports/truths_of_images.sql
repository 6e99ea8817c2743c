-- question: the phantom's true anatomy, for the oracle that knows it
-- one row: one true measure of one of the given images
-- parameter: $image_keys texts  the images
-- example: read by the oracle
with
asked as (
    select unnest($image_keys)::uuid as image_key
)

select
    findings.image_key,
    findings.name,
    findings.value,
    findings.source_version as kind
from asked
inner join findings on asked.image_key = findings.image_key
where findings.source = 'phantom_truth' and findings.value is not null
order by findings.image_key, findings.name

-- check: DUP001 warning archive
-- question: a discarded duplicate has another patient than the kept image
-- one row: one duplicate with both patients
-- needs: duplicates
-- example: xray-mining check
select
    duplicates.instance_key,
    duplicates.patient_key,
    images.patient_key as kept_patient_key,
    duplicates.archive
from duplicates
inner join images on duplicates.image_key = images.image_key
where duplicates.patient_key != images.patient_key
order by duplicates.instance_key

-- question: in which order a patient's images were made
-- one row: one of the images asked for, with its place among its patient's images
-- parameter: $image_keys texts  the images
-- example: read by `xray-mining evaluate`
select
    images.image_key,
    images.patient_sequence
from (select unnest($image_keys)::uuid as image_key) as asked
inner join images on asked.image_key = images.image_key
order by images.image_key

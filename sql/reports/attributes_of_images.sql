-- question: attributes of images for subgroups, audits and Table 1
-- one row: one of the given images, with its position among its patient's images
-- parameter: $image_keys texts  the images
-- example: read by `xray-mining evaluate`
select
    images.image_key,
    images.age_years,
    images.patient_sex,
    images.view_position,
    images.manufacturer,
    images.manufacturer_model_name,
    images.archive,
    images.institution_key,
    images.study_year,
    images.study_day,
    images.laterality,
    images.rows,
    images.columns,
    images.pixel_spacing_mm,
    images.photometric_interpretation,
    images.quality_flags,
    images.burned_in_text,
    images.patient_sequence
from (select unnest($image_keys)::uuid as image_key) as asked
inner join images on asked.image_key = images.image_key
order by images.image_key

-- question: columns known without looking at a radiograph, for the metadata null model
-- one row: one of the given images
-- parameter: $image_keys texts  the images
-- example: read by the null model 'metadata'
-- note: age is not among them: a target may be made of it
with
asked as (
    select unnest($image_keys)::uuid as image_key
)

select
    images.image_key,
    images.patient_sex,
    images.view_position,
    images.laterality,
    images.modality,
    images.manufacturer,
    images.manufacturer_model_name,
    images.archive,
    images.institution_key,
    images.photometric_interpretation,
    images.transfer_syntax_uid,
    images.pixel_spacing_source,
    images.burned_in_text,
    images.study_year,
    images."rows",
    images."columns",
    images.bits_stored,
    images.pixel_spacing_mm,
    images."columns" / images."rows" as aspect
from asked
inner join images on asked.image_key = images.image_key
order by images.image_key

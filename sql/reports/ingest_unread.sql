-- question: of how many kept images was an age, a sex or a patient id not read as stated
-- one row: the archive
-- parameter: $archive text = ''  the archive's given name
-- example: shown by `xray-mining ingest`
select
    count(*) as images,
    count(*) filter (where age_years is null) as without_age,
    count(*) filter (
        where age_years is null and list_contains(quality_flags, 'impossible_age')
    ) as unread,
    count(*) filter (
        where age_years is null and list_contains(quality_flags, 'bounded_age')
    ) as bounded,
    count(*) filter (where list_contains(quality_flags, 'unread_sex')) as unread_sexes,
    count(*) filter (
        where patient_source = 'none' and list_has_any(patient_id_marks, ['placeholder', 'zero'])
    ) as placeholders,
    count(*) filter (
        where patient_source = 'none' and list_contains(patient_id_marks, 'zero')
    ) as zeros,
    count(*) filter (
        where patient_source = 'declared' and list_contains(patient_id_marks, 'zero')
    ) as zeros_kept,
    count(*) filter (where list_contains(quality_flags, 'several_ids')) as several_ids,
    count(*) filter (where list_contains(quality_flags, 'undecoded_id')) as undecoded_ids
from images
where archive = $archive

-- question: for how many kept images a stated age, sex, patient id or mask could not be used
-- one row: the archive
-- parameter: $archive text = ''  the archive's given name
-- example: shown by `xray-mining ingest`
with
-- step: masks that were not used, by reason
faults as (
    select
        replace(reason, '_', ' ') as reason,
        count(*) as masks
    from mask_faults
    where archive = $archive
    group by all
)

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
    count(*) filter (where list_contains(quality_flags, 'undecoded_id')) as undecoded_ids,
    (select sum(masks) from faults) as mask_faults,
    (
        select string_agg(masks || ' ' || reason, ', ' order by masks desc, reason)
        from faults
    ) as mask_reasons
from images
where archive = $archive

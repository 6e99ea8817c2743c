-- question: how many of an archive's kept images have no age, or an age or sex that was not read
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
    count(*) filter (where list_contains(quality_flags, 'unread_sex')) as unread_sexes
from images
where archive = $archive

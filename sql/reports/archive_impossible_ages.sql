-- question: which impossible ages were stated
-- one row: one stated text; texts that are not ages are not shown
-- example: xray-mining sql sql/reports/archive_impossible_ages.sql
select
    case
        when age_raw is null then 'dates that give no age, or other text'
        when regexp_full_match(upper(trim(age_raw)), '[-+]?[0-9]{1,4}(\.[0-9]{1,3})? ?[DWMY]?')
            then upper(trim(age_raw))
        else 'dates that give no age, or other text'
    end as stated,
    count(*) as images,
    count(distinct patient_key) filter (where patient_source != 'none') as patients
from images
where list_contains(quality_flags, 'impossible_age')
group by stated
order by images desc, stated

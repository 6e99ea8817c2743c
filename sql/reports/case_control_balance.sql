-- question: how alike cases and controls came out
-- one row: one sentence
-- example: shown by `xray-mining cohort case_control`
select
    "group" || ': ' || count(*) || ' patients, mean age ' || round(avg(age_years), 1)
    || ' years, ' || round(100 * avg((patient_sex = 'M')::int)) || ' % males, '
    || round(100 * avg((view_position = 'PA')::int)) || ' % PA, mean year '
    || coalesce(round(avg(study_year), 1)::varchar, 'unknown') || '.' as sentence
from chosen_members
group by "group"
order by sentence

-- question: how much time passes between a patient's studies
-- one row: one span between consecutive study days
-- example: xray-mining sql sql/reports/archive_gaps.sql
with
days as (
    select distinct
        patient_key,
        study_day
    from images
    where study_day is not null and patient_source != 'none'
),

gaps as (
    select
        patient_key,
        study_day - lag(study_day) over (partition by patient_key order by study_day) as days
    from days
)

select
    case
        when days <= 7 then '1 to 7 days'
        when days <= 30 then '8 to 30 days'
        when days <= 365 then '31 to 365 days'
        when days <= 1826 then '1 to 5 years'
        else 'over 5 years'
    end as gap,
    min(days) as shortest_days,
    count(*) as pairs,
    count(distinct patient_key) as patients
from gaps
where days is not null
group by gap
order by shortest_days

-- check: AGE002 warning archive
-- question: a patient's ages and study days disagree (by more than 1.5 years)
-- one row: one patient whose images contradict each other
-- example: xray-mining check
select
    patient_key,
    max(age_years - study_day / 365.25) - min(age_years - study_day / 365.25) as years_apart
from images
where
    age_years is not null
    and study_day is not null
    and not age_topcoded
    and patient_source != 'none'
group by patient_key
having years_apart > 1.5
order by patient_key

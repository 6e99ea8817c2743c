-- check: SEX001 warning archive
-- question: a patient has more than one sex, so ids may be mixed up
-- one row: one patient with the stated sexes
-- example: xray-mining check
select
    patient_key,
    string_agg(distinct patient_sex, ', ' order by patient_sex) as sexes
from images
where patient_sex is not null and patient_source != 'none'
group by patient_key
having count(distinct patient_sex) > 1
order by patient_key

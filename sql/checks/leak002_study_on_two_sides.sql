-- check: LEAK002 error cohort
-- question: a study stands on two sides, so a second view of a training study is tested
-- one row: one study with the sides it stands on
-- example: xray-mining check age_balanced
select
    study_key,
    count(distinct fold || split) as sides
from members
group by study_key
having count(distinct fold || split) > 1
order by study_key

-- check: LEAK002 error cohort
-- question: a study is in two splits, so a second view of a training study is tested
-- one row: one study with its folds and splits
-- example: xray-mining check age_balanced
select
    study_key,
    min(fold) as lowest_fold,
    max(fold) as highest_fold,
    min(split) as one_split,
    max(split) as other_split
from members
group by study_key
having min(fold) != max(fold) or min(split) != max(split)
order by study_key

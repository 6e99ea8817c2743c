-- question: how many kept images show one exposure, processed differently
-- one row: everything
-- example: xray-mining sql sql/reports/archive_near_duplicates.sql
select
    (select count(*) from near_duplicates) as pairs,
    count(*) as images,
    count(distinct group_key) as exposures,
    count(distinct group_key) filter (where spans_patients) as exposures_of_several_patients
from near_duplicate_groups
